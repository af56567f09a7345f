"""The end of a model: its class's `finalize`, which may be async."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import stub_utils
from stub_utils import InferenceRequest, tensor

PATIENCE_S = 10.0


@pytest.mark.parametrize(
    "call",
    [
        "async def __call__(self, x):\n        return x",
        "async def __call__(self, x):\n        yield x",
        "def __call__(self, x):\n        return x",
    ],
)
def test_an_async_finalize_is_awaited(serve: Callable[..., Any], capsys: pytest.CaptureFixture[str], call: str) -> None:
    """It runs in the loop in which the calls ran, which its connections belong to."""
    source = f"""
import asyncio
from tritonforge import model

@model
class Predict:
    {
        call.replace("return", "self.loop = asyncio._get_running_loop(); return").replace(
            "yield", "self.loop = asyncio._get_running_loop(); yield"
        )
    }

    async def finalize(self):
        await asyncio.sleep(0.01)
        print("finalized", self.loop in (None, asyncio.get_running_loop()))
"""
    stream = "yield" in call
    x, y = tensor("x", "FP32", [1]), tensor("y", "FP32", [1])
    made = serve(source, stub_utils.arguments([x], [y], decoupled=stream), attribute="Predict")
    each = InferenceRequest(x=np.ones((1, 1), np.float32))
    if made.execute([each]) is None:
        assert each.sender.finished.wait(PATIENCE_S)
    made.finalize()

    assert capsys.readouterr().out == "finalized True\n"
    assert "coroutines" not in {thread.name for thread in threading.enumerate() if thread.is_alive()}


def test_an_error_of_an_async_finalize_is_raised(serve: Callable[..., Any]) -> None:
    source = """
from tritonforge import model

@model
class Predict:
    async def __call__(self, x):
        return x

    async def finalize(self):
        raise ValueError("can't")
"""
    arguments = stub_utils.arguments([tensor("x", "FP32", [1])], [tensor("y", "FP32", [1])])
    made = serve(source, arguments, attribute="Predict")

    with pytest.raises(ValueError, match="can't"):
        made.finalize()
    assert "coroutines" not in {thread.name for thread in threading.enumerate() if thread.is_alive()}
