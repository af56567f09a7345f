"""Stand-ins for `tritonforge` and `jaxtyping`, so that the user's modules import where neither is installed.

Definitions mean little inside Triton: models call their function, pipelines are their body, weights are placeholders
until they are loaded, and annotations are evaluated and forgotten.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Any

from . import metrics
from .encoding import file_name
from .errors import TritonError
from .inner import PipelinePart
from .instance import Instance
from .parts import ClassPart, FunctionPart, WeightsPart

__all__ = ["install"]


def install() -> None:
    """Put the stand-ins where `import` finds them; an installed jaxtyping is left alone."""
    if not isinstance(sys.modules.get("tritonforge"), _TritonForge):
        module = sys.modules["tritonforge"] = _TritonForge("tritonforge")
        module.__dict__["__all__"] = list(_NAMES)
        module.__path__ = []  # as a package has one, so that the finder is asked for submodules
        sys.modules["tritonforge.metrics"] = metrics
        sys.meta_path.insert(0, _NoSubmodules())
    if "jaxtyping" not in sys.modules and find_spec("jaxtyping") is None:
        sys.modules["jaxtyping"] = _Jaxtyping("jaxtyping")


class _Annotation:
    """Any jaxtyping annotation: `Float32[np.ndarray, "batch 20"]` is the class itself, and can be in a union."""

    def __class_getitem__(cls, item: object) -> type[_Annotation]:
        return cls


class _Setting:
    """`Batching(…)` and all other settings, which config.pbtxt holds by now."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass


def _model(target: Any = None, /, **_settings: object) -> Any:
    """Stand for `@model` and `@model(…)`."""
    if target is None:
        return _model
    if isinstance(target, FunctionPart | ClassPart):
        target = target.target
    return ClassPart(target) if isinstance(target, type) else FunctionPart(target)


def _pipeline(target: Any = None, /, **_settings: object) -> Any:
    """Stand for `@pipeline` and `@pipeline(…)`: its body, which runs as it stands."""
    if target is None:
        return _pipeline
    return PipelinePart(target.target if isinstance(target, PipelinePart) else target)


def _weights(kind: str) -> Any:
    return lambda source="", *args, **kwargs: WeightsPart(kind, source)


def _asset(path: str | PathLike[str]) -> Path:
    """Find a file beside the calling file.

    Raises:
        FileNotFoundError: it isn't there.
    """
    caller = Path(sys._getframe(1).f_code.co_filename)
    found = (caller.parent / file_name(os.fspath(path))).resolve()
    if not found.exists():
        raise FileNotFoundError(
            f'asset "{path}" is missing beside {caller.name}; name it in a call asset("…") with the name written out, '
            "or ask for it while the module is imported, so that the build can see it"
        )
    return found


_SETTINGS = (
    "Accelerator", "Accelerators", "Agent", "BatchInput", "BatchOutput", "Batching", "Control", "ControlInput", "Cuda",
    "Direct", "Ensemble", "EnsembleStep", "GraphLowerBound", "GraphSpec", "InitialState", "InstanceGroup", "Instances",
    "MetricControl", "Oldest", "Optimization", "QueuePolicy", "RateLimiter", "Resource", "SecondaryDevice",
    "SequenceBatching", "State", "Tensor", "VersionPolicy", "Warmup", "WarmupInput",
)  # fmt: skip

_NAMES: dict[str, Any] = {
    **dict.fromkeys(_SETTINGS, _Setting),
    "Bytes": type("Bytes", (_Annotation,), {}),
    "Instance": Instance,
    "RequestParameters": type("RequestParameters", (_Annotation,), {}),
    "Sequence": _Setting,
    "String": type("String", (_Annotation,), {}),
    "TritonError": TritonError,
    "asset": _asset,
    "metrics": metrics,
    "model": _model,
    "model_files": _weights("folder"),
    "onnx": _weights("ONNX model"),
    "pipeline": _pipeline,
    "sklearn": _weights("estimator"),
    "torch_module": _weights("torch module"),
    "torchscript": _weights("TorchScript model"),
}


class _TritonForge(ModuleType):
    """The stand-in for `tritonforge`: the names that definitions use."""

    def __getattr__(self, name: str) -> Any:
        if name in _NAMES:
            return _NAMES[name]
        if name.startswith("__"):
            raise AttributeError(name)
        # Not an AttributeError: `from tritonforge import …` would put its own text in the place of this one.
        raise ImportError(_unavailable(f"tritonforge.{name}"))


class _Jaxtyping(ModuleType):
    """The stand-in for `jaxtyping`: every annotation there is, and `@jaxtyped`, which does nothing."""

    def __getattr__(self, name: str) -> Any:
        if name == "jaxtyped":
            return lambda target=None, /, **_: target if target is not None else (lambda decorated: decorated)
        if not name[:1].isupper():
            raise AttributeError(f"jaxtyping is not installed inside Triton, and its stand-in has no {name}")
        annotation = type(name, (_Annotation,), {})
        setattr(self, name, annotation)
        return annotation


class _NoSubmodules(MetaPathFinder):
    """Says why `import tritonforge.testing` fails."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if fullname.startswith("tritonforge."):
            raise ModuleNotFoundError(_unavailable(fullname), name=fullname)


def _unavailable(name: str) -> str:
    return (
        f"{name} is not there inside Triton: a model's module may use {', '.join(_NAMES)}; "
        "import all else inside the functions that need it"
    )
