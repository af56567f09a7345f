"""The models that a pipeline calls, where the pipeline is one Python model: its own classes, and ONNX weights."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any

from .errors import LoadError

__all__ = ["ClassPart", "WeightsPart"]


class ClassPart:
    """A class that is a model: called, it calls its one instance."""

    def __init__(self, target: type) -> None:
        self.target = target
        self._instance: Any = None

    def load(self) -> Any:
        """Make the instance, the first time; give it."""
        if self._instance is None:
            self._instance = self.target()
        return self._instance

    def finalize(self) -> None:
        """Call the instance's `finalize`, if it has one."""
        close = getattr(self._instance, "finalize", None)
        if close is not None:
            close()

    def __call__(self, *args: object, **kwargs: object) -> Any:
        return self.load()(*args, **kwargs)


class WeightsPart:
    """Weights that are a model. Here they run only where the build has put their file into the version folder."""

    def __init__(self, kind: str, source: object) -> None:
        self._what = f"{kind} {getattr(source, '__name__', source)!r}"
        self._call: Callable[..., Any] | None = None

    def load(self, path: str, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Load an ONNX file; `inputs` and `outputs` are those that it is called with and gives, in order.

        Raises:
            LoadError: onnxruntime is not installed in the Python that Triton runs.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise LoadError(f"{self._what} runs inside this model, which needs the package onnxruntime") from error
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        record = namedtuple("Outputs", outputs, rename=True)  # type: ignore[misc]  # the names are known only now
        names, wanted = tuple(inputs), list(outputs)

        def call(*args: object, **kwargs: object) -> Any:
            given = {**dict(zip(names, args, strict=False)), **kwargs}
            results = session.run(wanted, {name: value for name, value in given.items() if value is not None})
            return results[0] if len(results) == 1 else record(*results)

        self._call = call

    def __call__(self, *args: object, **kwargs: object) -> Any:
        if self._call is None:
            raise TypeError(f"{self._what} is a model of its own; call it in a @pipeline, not inside a @model")
        return self._call(*args, **kwargs)
