"""The stand-ins for `tritonforge` and `jaxtyping`."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import numpy as np
import pytest
from tritonforge_runtime import standin


@pytest.fixture
def names(imports: None, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Both stand-ins, with no jaxtyping installed."""
    for name in [name for name in sys.modules if name.split(".")[0] in ("tritonforge", "jaxtyping")]:
        del sys.modules[name]
    found = importlib.util.find_spec
    monkeypatch.setattr(standin, "find_spec", lambda name: None if name == "jaxtyping" else found(name))
    standin.install()
    return {"np": np}


def test_everything_a_definition_uses_is_there(names: dict[str, Any]) -> None:
    exec(
        """
from typing import NamedTuple, Optional
from jaxtyping import AbstractDtype, BFloat16, Float32, Int64, jaxtyped
from tritonforge import (Batching, Bytes, Instances, String, TritonError, asset, model, onnx, pipeline, sklearn,
                         torch_module, torchscript)
import tritonforge as tf

class Own(AbstractDtype):
    dtypes = ["float16"]

class Result(NamedTuple):
    label: Int64[np.ndarray, "batch"]
    text: String[np.ndarray, "batch 1"]

@model
def bare(x: Float32[np.ndarray, "batch 2"] | None, y: Optional[Own[np.ndarray, "n"]] = None) -> Result: ...

@tf.model(name="settings", batching=Batching(max_batch_size=4), instances=Instances(gpu=[0]))
@jaxtyped(typechecker=None)
def with_settings(x: BFloat16[np.ndarray, "batch"] | Bytes[np.ndarray, "batch"]) -> Result: ...

a, b = onnx("a.onnx", batching=Batching()), torchscript("b.pt", inputs={})
c, d = torch_module(object(), example=1), sklearn(object(), features=3)

@pipeline(name="p")
def piped(x): ...

@pipeline
def other(x): ...
""",
        names,
    )

    assert names["bare"].__name__ == "bare"
    assert names["with_settings"].__name__ == "with_settings"


def test_weights_cannot_be_called_where_they_are_not_loaded(names: dict[str, Any]) -> None:
    exec("from tritonforge import onnx\na = onnx('a.onnx')\n", names)

    with pytest.raises(TypeError, match=r"ONNX model 'a.onnx' is a model of its own; call it in a @pipeline"):
        names["a"](1)


def test_everything_can_be_imported_at_once(names: dict[str, Any]) -> None:
    exec("from tritonforge import *\n@model\ndef double(x): return x * 2\n", names)

    assert names["double"](2) == 4


def test_a_pipeline_is_its_body_and_a_class_its_one_instance(names: dict[str, Any]) -> None:
    exec(
        """
from tritonforge import model, pipeline

@model
class Counter:
    def __init__(self):
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        return x + self.calls

@model(name="twice")
def double(x):
    return x * 2

@pipeline
def both(x):
    return Counter(double(x))
""",
        names,
    )

    assert [names["both"](1), names["both"](1)] == [3, 4]


@pytest.mark.parametrize("line", ["from tritonforge import Client", "import tritonforge; tritonforge.Client"])
def test_what_is_not_there_is_named(names: dict[str, Any], line: str) -> None:
    with pytest.raises(ImportError, match=r"tritonforge\.Client is not there inside Triton: a model's module may use"):
        exec(line, names)


@pytest.mark.parametrize("line", ["import tritonforge.client", "from tritonforge.client import Client"])
def test_submodules_are_not_there(names: dict[str, Any], line: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"tritonforge\.client is not there inside Triton"):
        exec(line, names)


def test_a_refusal_has_one_of_tritons_codes(names: dict[str, Any]) -> None:
    exec("from tritonforge import TritonError\nerror = TritonError('no', code='NOT_FOUND')", names)

    assert (names["error"].message, names["error"].code) == ("no", "NOT_FOUND")
    with pytest.raises(ValueError, match="'GONE' is none of Triton's error codes, INTERNAL, UNKNOWN"):
        names["TritonError"]("no", "GONE")


def test_the_names_are_those_of_the_package() -> None:
    import tritonforge

    assert {name for name in tritonforge.__all__ if not name.startswith("__")} <= set(standin._NAMES)


def test_a_build_knows_the_names() -> None:
    from tritonforge.build.stand_in import STAND_IN

    assert set(standin._NAMES) == STAND_IN
