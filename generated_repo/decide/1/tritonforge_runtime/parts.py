"""The models that a file of definitions holds, as code inside Triton calls them: a pipeline's body above all."""

from __future__ import annotations

import functools
from collections import namedtuple
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import isawaitable
from operator import is_
from typing import Any

import numpy as np

from . import batch, instance, remote
from .awaitables import is_async
from .batch import RequestParameters
from .dimensions import NamedDim, agreeing
from .errors import InvalidResult, LoadError, Refused, TritonError
from .onnx_options import session_options
from .outputs import Arguments, Outputs
from .ownership import own
from .padding import PaddedDim, Padding
from .spec import ModelSpec, TensorSpec
from .strings import as_bytes, as_text, require_utf8

__all__ = ["ClassPart", "FunctionPart", "PartSpec", "WeightsPart"]

Call = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class PartSpec:
    """A model that a pipeline's body calls: the variable that holds it, its name in Triton, and its tensors.

    `path` is the file of ONNX weights that run in this process, by ONNX Runtime's `parameters` and graph `level`, and
    on so many `threads` where those don't say. `remote` says that Triton serves the model, and that the call goes
    there. `copied` are the inputs that are read by others, too, after it: it gets copies, to write into. `nested` says
    that the code of another model calls it, which nothing has checked; such a one may be a stream (`decoupled`).
    `most_rows` is how many rows Triton takes for it at a time; 0 where nothing is known of it. `request_parameters` is
    its argument of that kind, which code that calls it gives, or leaves out.
    """

    module: str
    variable: str
    name: str
    batched: bool
    inputs: Sequence[TensorSpec]
    outputs: Sequence[TensorSpec]
    path: str = ""
    remote: bool = False
    padding: Sequence[PaddedDim] = ()
    dims: Sequence[NamedDim] = ()
    copied: Sequence[str] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    level: int = 0
    threads: int = 0
    nested: bool = False
    decoupled: bool = False
    most_rows: int = 0
    request_parameters: str = ""

    @property
    def model(self) -> ModelSpec:
        """The model as such."""
        inputs, outputs = tuple(self.inputs), tuple(self.outputs)
        return ModelSpec(self.name, self.batched, False, inputs, outputs, request_parameters=self.request_parameters)


class FunctionPart:
    """A function that is a model."""

    def __init__(self, target: Call) -> None:
        self.target = target
        self._call = target
        functools.update_wrapper(self, target)

    def load_part(self, spec: PartSpec) -> None:
        """Make calls behave as calls of the served model do."""
        self._call = _call(self.target, spec)

    def __call__(self, *args: object, **kwargs: object) -> Any:
        return self._call(*args, **kwargs)


class ClassPart:
    """A class that is a model: called, it calls its one instance.

    All other attributes are the class's: its name in its module is this part's, by which its own code finds them.
    """

    target: type

    def __init__(self, target: type) -> None:
        own = object.__setattr__
        own(self, "target", target)
        own(self, "_part_made", None)
        own(self, "_part_call", None)
        for name in functools.WRAPPER_ASSIGNMENTS:
            own(self, name, getattr(target, name, None))
        own(self, "__wrapped__", target)

    @property
    def part_instance(self) -> Any:
        """The instance; made at the first time."""
        if self._part_made is None:
            object.__setattr__(self, "_part_made", instance.make(self.target))
        return self._part_made

    def load_part(self, spec: PartSpec) -> None:
        """Make calls behave as calls of the served model do; a step's instance is made now, if it is called here."""
        if spec.nested:
            made = lambda **inputs: self.part_instance(**inputs)  # noqa: E731, PLW0108 - made by the first call
            call = _as_served(made, spec, self.target.__call__)
        else:
            call = _call(self.target if spec.remote else self.part_instance, spec)
        object.__setattr__(self, "_part_call", call)

    def finalize_part(self) -> Any:
        """Call the instance's `finalize`, if it has one; give what it gives, which is to be awaited if it can be."""
        close = getattr(self._part_made, "finalize", None)
        return close() if close is not None else None

    def __call__(self, *args: object, **kwargs: object) -> Any:
        return (self._part_call or self.part_instance)(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.target, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self.target, name, value)


class WeightsPart:
    """Weights that are a model. Here they run only where the build has put their file into the version folder."""

    def __init__(self, kind: str, source: object) -> None:
        self._what = f"{kind} {getattr(source, '__name__', source)!r}"
        self._call: Call | None = None

    def load_part(self, spec: PartSpec) -> None:
        """Load an ONNX file, or let calls go to the served model.

        Raises:
            LoadError: onnxruntime is not installed in the Python that Triton runs.
        """
        if spec.remote:
            self._call = remote.caller(spec.model, most_rows=spec.most_rows, dims=spec.dims)
            return
        try:
            import onnxruntime
        except ImportError as error:
            raise LoadError(f"{self._what} runs inside this model, which needs the package onnxruntime") from error
        options = session_options(onnxruntime, spec.parameters, level=spec.level, threads=spec.threads)
        session = onnxruntime.InferenceSession(spec.path, options, providers=["CPUExecutionProvider"])
        wanted = [output.name for output in spec.outputs]
        record = namedtuple("Outputs", wanted, rename=True)  # type: ignore[misc]  # the names are known only now

        optional = any(tensor.optional for tensor in spec.inputs)

        def call(**inputs: object) -> Any:
            if optional:  # one that isn't given keeps the value that the graph has for it
                inputs = {name: value for name, value in inputs.items() if value is not None}
            results = session.run(wanted, inputs)
            return results[0] if len(results) == 1 else record(*results)

        self._call = _as_served(call, spec, None)

    def __call__(self, *args: object, **kwargs: object) -> Any:
        if self._call is None:
            raise TypeError(f"{self._what} is a model of its own; call it in a @pipeline, not inside a @model")
        return self._call(*args, **kwargs)


def _call(target: Any, spec: PartSpec) -> Call:
    """Make the call of a Python model: here, or where Triton serves it."""
    if spec.remote:
        return remote.caller(spec.model, most_rows=spec.most_rows, dims=spec.dims, awaited=is_async(target))
    return _as_served(target, spec, target)


def _as_served(function: Call, part: PartSpec, target: object) -> Call:
    """Wrap a function: it gets strings as its annotations say, and None for an optional input that is left out.

    Its results are held against its outputs, and told as results of `target`, which is the user's own.
    """
    spec = part.model
    names, results = spec.arguments, [tensor.name for tensor in spec.outputs]
    strings = {t.name: as_text if t.text else as_bytes for t in spec.inputs if t.datatype == "BYTES"}
    texts = [(place, f'output "{t.name}"') for place, t in enumerate(spec.outputs) if t.datatype == "BYTES"]
    left_out = {tensor.name: None for tensor in spec.inputs if tensor.optional}
    parameters = spec.request_parameters
    outputs, batched = Outputs(spec), spec.batched
    arguments = Arguments(spec) if part.nested else None
    naming = _Naming(part, target)
    if part.padding:
        function = Padding(part.padding, names, results).around(function, names)
    if part.dims:
        function = agreeing(function, part.dims, results)

    def call(*args: Any, **kwargs: Any) -> Any:
        given = arguments.bind(args, kwargs) if arguments else {**dict(zip(names, args, strict=False)), **kwargs}
        inputs = {**left_out, **given} if left_out else given
        if parameters:
            inputs[parameters] = RequestParameters(inputs.get(parameters) or {})  # each call has its own
        with naming:
            for name, convert in strings.items():
                if inputs.get(name) is not None:
                    inputs[name] = convert(inputs[name], name)
            for name in part.copied:
                if inputs.get(name) is not None:
                    inputs[name] = inputs[name].copy()
            rows = batch.rows(inputs.values()) if batched else None
            return finished([function(**inputs)], rows, inputs)

    def finished(held: list[Any], rows: int | None, inputs: Mapping[str, Any]) -> Any:
        """Check a result, which the list alone holds; that of a pipeline's step is nobody else's after that."""
        result = held.pop()
        several = isinstance(result, tuple)
        if not several and type(result) is not np.ndarray:
            if isawaitable(result):
                return awaited(result, rows, inputs)
            if part.decoupled and isinstance(result, Iterator | AsyncIterator):
                return each(result, rows) if isinstance(result, Iterator) else each_awaited(result, rows)
        arrays = outputs.arrange(result, rows)
        for place, name in texts:
            require_utf8(arrays[place], name)
        if part.nested and several and all(map(is_, arrays, result)):
            return result
        made = type(result)._make if hasattr(result, "_fields") else tuple
        del result
        if not part.nested:
            own(arrays, inputs.values())
        return made(arrays) if several or len(arrays) > 1 else arrays[0]

    async def awaited(result: Any, rows: int | None, inputs: Mapping[str, Any]) -> Any:
        with naming:
            return finished([await result], rows, inputs)

    def each(results: Iterator[Any], rows: int | None) -> Iterator[Any]:
        with naming:
            for result in results:
                yield finished([result], rows, {})

    async def each_awaited(results: AsyncIterator[Any], rows: int | None) -> AsyncIterator[Any]:
        with naming:
            async for result in results:
                yield finished([result], rows, {})

    return call


class _Naming:
    """Names a model in the errors of its calls: a wrong result, a refusal of the runtime's, and any of a step's."""

    def __init__(self, part: PartSpec, target: object) -> None:
        self._model = part.name
        self._target = target
        self._refusals = Refused if part.nested else TritonError

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, InvalidResult) and not error.model:
            error.model, error.function = self._model, self._target
        elif isinstance(error, self._refusals) and not error.model:
            error.model = self._model
