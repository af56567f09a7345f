"""The models that a file of definitions holds, as code inside Triton calls them: a fused pipeline's body above all."""

from __future__ import annotations

import functools
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .batch import Array
from .errors import LoadError
from .strings import as_bytes, as_text

__all__ = ["ClassPart", "FunctionPart", "PartSpec", "WeightsPart"]


@dataclass(frozen=True, slots=True)
class PartSpec:
    """A model that a fused pipeline calls: the variable that holds it, its tensors, and, of weights, their file.

    `text` and `raw` name the BYTES inputs that it sees as `str` and as `bytes`.
    """

    module: str
    variable: str
    path: str = ""
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    text: Sequence[str] = ()
    raw: Sequence[str] = ()


class FunctionPart:
    """A function that is a model."""

    def __init__(self, target: Callable[..., Any]) -> None:
        self.target = target
        self._call = target
        functools.update_wrapper(self, target)

    def load(self, spec: PartSpec) -> None:
        """Take the inputs in the form that they have where the model is served by itself."""
        self._call = _with_strings(self.target, spec)

    def __call__(self, *args: object, **kwargs: object) -> Any:
        return self._call(*args, **kwargs)


class ClassPart:
    """A class that is a model: called, it calls its one instance."""

    def __init__(self, target: type) -> None:
        self.target = target
        self._instance: Any = None
        self._call: Callable[..., Any] | None = None
        functools.update_wrapper(self, target, updated=())

    @property
    def instance(self) -> Any:
        """The instance; made at the first time."""
        if self._instance is None:
            self._instance = self.target()
        return self._instance

    def load(self, spec: PartSpec) -> None:
        """Make the instance, and take its inputs in the form that they have where the model is served by itself."""
        self._call = _with_strings(self.instance, spec)

    def finalize(self) -> None:
        """Call the instance's `finalize`, if it has one."""
        close = getattr(self._instance, "finalize", None)
        if close is not None:
            close()

    def __call__(self, *args: object, **kwargs: object) -> Any:
        return (self._call or self.instance)(*args, **kwargs)


class WeightsPart:
    """Weights that are a model. Here they run only where the build has put their file into the version folder."""

    def __init__(self, kind: str, source: object) -> None:
        self._what = f"{kind} {getattr(source, '__name__', source)!r}"
        self._call: Callable[..., Any] | None = None

    def load(self, spec: PartSpec) -> None:
        """Load an ONNX file.

        Raises:
            LoadError: onnxruntime is not installed in the Python that Triton runs.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise LoadError(f"{self._what} runs inside this model, which needs the package onnxruntime") from error
        session = onnxruntime.InferenceSession(spec.path, providers=["CPUExecutionProvider"])
        record = namedtuple("Outputs", spec.outputs, rename=True)  # type: ignore[misc]  # the names are known only now
        wanted = list(spec.outputs)

        def call(**inputs: object) -> Any:
            results = session.run(wanted, {name: value for name, value in inputs.items() if value is not None})
            return results[0] if len(results) == 1 else record(*results)

        self._call = _with_strings(_by_name(call, spec.inputs), spec)

    def __call__(self, *args: object, **kwargs: object) -> Any:
        if self._call is None:
            raise TypeError(f"{self._what} is a model of its own; call it in a @pipeline, not inside a @model")
        return self._call(*args, **kwargs)


def _by_name(function: Callable[..., Any], names: Sequence[str]) -> Callable[..., Any]:
    return lambda *args, **kwargs: function(**dict(zip(names, args, strict=False)), **kwargs)


def _with_strings(function: Callable[..., Any], spec: PartSpec) -> Callable[..., Any]:
    """Convert BYTES arguments on the way to a function, as they are between the steps of an ensemble."""
    convert: Mapping[str, Callable[[Array, str], Array]] = {
        **dict.fromkeys(spec.text, as_text),
        **dict.fromkeys(spec.raw, as_bytes),
    }
    if not convert:
        return function

    def call(**inputs: Any) -> Any:
        for name in convert.keys() & inputs.keys():
            if inputs[name] is not None:
                inputs[name] = convert[name](inputs[name], name)
        return function(**inputs)

    return _by_name(call, spec.inputs)
