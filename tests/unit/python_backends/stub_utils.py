"""The stand-in for `triton_python_backend_utils` that users get too, and what tests of the runtime say with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tritonforge.testing import backend_utils
from tritonforge.testing.backend_utils import (
    InferenceResponse,
    MetricFamily,
    ResponseSender,
    Tensor,
    TritonError,
    TritonModelException,
)

__all__ = [
    "InferenceRequest",
    "InferenceResponse",
    "MetricFamily",
    "ResponseSender",
    "Tensor",
    "TritonError",
    "TritonModelException",
    "arguments",
    "code",
    "install",
    "message",
    "outputs",
    "tensor",
]


class InferenceRequest(backend_utils.InferenceRequest):
    """One request, of arrays by name."""

    def __init__(
        self,
        *,
        is_cancelled: Callable[[], bool] = lambda: False,
        correlation_id: int | str = 0,
        flags: int = 0,
        **arrays: np.ndarray[Any, Any],
    ) -> None:
        super().__init__(
            inputs=self.tensors(arrays), is_cancelled=is_cancelled, correlation_id=correlation_id, flags=flags
        )


def tensor(name: str, datatype: str, dims: Sequence[int], **more: Any) -> dict[str, Any]:
    """An `input` or `output` of a configuration as Triton's JSON has it."""
    kind = "STRING" if datatype == "BYTES" else datatype
    return {"name": name, "data_type": f"TYPE_{kind}", "dims": list(dims), **more}


def arguments(
    inputs: Sequence[dict[str, Any]],
    outputs: Sequence[dict[str, Any]],
    *,
    folder: Path = Path(),
    max_batch_size: int = 8,
    decoupled: bool = False,
    **more: Any,
) -> dict[str, str]:
    """What Triton hands to `initialize`."""
    config = {
        "name": "fraud",
        "max_batch_size": max_batch_size,
        "input": list(inputs),
        "output": list(outputs),
        "parameters": {},
        "optimization": {},
        "default_model_filename": "model.py",
        **more,
    }
    if decoupled:
        config["model_transaction_policy"] = {"decoupled": True}
    return {
        "model_config": json.dumps(config),
        "model_name": "fraud",
        "model_repository": str(folder),
        "model_version": "1",
        "model_instance_kind": "CPU",
        "model_instance_device_id": "0",
    }


def outputs(response: InferenceResponse) -> dict[str, Any]:
    """Give a response's arrays by name; raise its error."""
    error = response.error()
    assert error is None, error.message()
    return {each.name(): each.as_numpy() for each in response.output_tensors()}


def message(response: InferenceResponse) -> str:
    """Give a response's error message."""
    error = response.error()
    assert error is not None
    return error.message()


def code(response: InferenceResponse) -> int:
    """Give a response's error code."""
    error = response.error()
    assert error is not None
    return error.code()


def install() -> None:
    """Put the stand-in where the runtime looks for Triton's."""
    sys.modules["triton_python_backend_utils"] = backend_utils
