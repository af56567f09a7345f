"""torch: modules, exported to ONNX when they are first needed, and TorchScript files."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from tritonforge import dtypes
from tritonforge.define.annotations import ParsedTensor
from tritonforge.define.arrays import Array
from tritonforge.define.onnx_graph import declared_signature, read_graph
from tritonforge.define.origin import caller
from tritonforge.define.settings import Batching, Instances
from tritonforge.define.signature import parse_tensors
from tritonforge.define.weights import Annotations, WeightsModel
from tritonforge.errors import Diagnostic, DiagnosticError
from tritonforge.ir import File, Signature, TensorSpec

if TYPE_CHECKING:
    import torch

__all__ = ["TorchModule", "TorchScriptModel", "torch_module", "torchscript"]

Example = Array | Sequence[Array] | Mapping[str, Array]


def torch_module(
    module: torch.nn.Module | Callable[[], torch.nn.Module],
    *,
    example: Example,
    inputs: Annotations | None = None,
    outputs: Sequence[str] | None = None,
    batching: Batching | None = None,
    instances: Instances | None = None,
    name: str | None = None,
) -> TorchModule:
    """Serve a torch module, exported to ONNX by the build.

    Eager calls run the module itself, in evaluation mode.

    Args:
        module: the module, or a function of no arguments that makes it (then no server imports torch for the sake of
            this line).
        example: arrays that it can be called on, one, several in the order of `forward`'s parameters, or by their
            names. Their first dimension is the batch.
        inputs: annotations by parameter name, where other dimensions vary too (`"batch 3 height width"`), or where the
            first is no batch.
        outputs: the names of the outputs; by default `output` for a tensor, `output_0`, `output_1`, … for a tuple, and
            the keys for a dict.
        batching: how requests are batched.
        instances: how many copies run; by default Triton decides.
        name: the model's name; by default that of the variable.
    """
    return TorchModule(
        module,
        example,
        inputs,
        outputs,
        origin=caller(),
        name=name,
        batching=batching,
        instances=instances,
    )


class TorchModule(WeightsModel):
    """A torch module that is served as ONNX."""

    kind = "onnx"

    def __init__(
        self, module: Any, example: Example, inputs: Annotations | None, outputs: Sequence[str] | None, **common: Any
    ) -> None:
        super().__init__(**common)
        self._given = module
        self._example = example
        self._annotations = inputs
        self._output_names = outputs

    @cached_property
    def signature(self) -> Signature:
        """What `forward` takes and gives, by the example and the annotations."""
        inputs = tuple(tensor.spec for tensor in self._inputs)
        if any(isinstance(dim, str) for spec in inputs for dim in spec.dims):
            graph = read_graph(self._exported, self.where)
            return declared_signature(graph, self._inputs, None, self.where)
        results = self._call(self._examples)
        outputs = []
        for name, array in results.items():
            dtype = dtypes.from_numpy(array.dtype)
            if dtype is None:
                raise self._failed(f'output "{name}" is {array.dtype}, which Triton has not', "convert it in forward")
            if not array.ndim or (self._batched and array.shape[0] != self._rows):
                reason = f'output "{name}" has shape {list(array.shape)} for {self._rows} rows: no batch comes first'
                raise self._failed(reason, "give every output a row for each row of input")
            outputs.append(TensorSpec(name, dtype.name, array.shape[1:] if self._batched else array.shape))
        return Signature(inputs, tuple(outputs), batched=self._batched)

    @property
    def files(self) -> tuple[File, ...]:
        """model.onnx."""
        declared_signature(read_graph(self._exported, self.where), self._inputs, None, self.where)
        return (File("model.onnx", content=self._exported),)

    def run(self, inputs: Mapping[str, Array | None]) -> Any:
        """Call the module."""
        return self.returns.pack(self._call({name: value for name, value in inputs.items() if value is not None}))

    @cached_property
    def _module(self) -> torch.nn.Module:
        try:
            import torch
        except ModuleNotFoundError as error:
            raise self._failed("torch is not installed", "pip install 'tritonforge[torch]'") from error
        module: Any = self._given if isinstance(self._given, torch.nn.Module) else self._given()
        if not isinstance(module, torch.nn.Module):
            raise self._failed(f"{self._given!r} gave a {type(module).__name__}", "give a torch.nn.Module")
        return module

    @cached_property
    def _examples(self) -> dict[str, Array]:
        """The example by parameter name; a batch of one is doubled, for a size of 1 would be taken as fixed."""
        if isinstance(self._example, Mapping):
            given = dict(self._example)
        else:
            arrays = [self._example] if isinstance(self._example, np.ndarray) else list(self._example)
            parameters = list(inspect.signature(self._module.forward).parameters)
            if len(arrays) > len(parameters):
                raise self._failed(f"{len(arrays)} example arrays; forward takes {parameters}", "give one for each")
            given = dict(zip(parameters, arrays, strict=False))
        if self._batched and all(array.shape[:1] == (1,) for array in given.values()):
            given = {name: np.concatenate([array, array]) for name, array in given.items()}
        return given

    @cached_property
    def _batched(self) -> bool:
        if self._annotations is None:
            return True
        parsed = parse_tensors(self._annotations, "input", self.name, self.where)
        return any(tensor.batched for tensor in parsed)

    @property
    def _rows(self) -> int:
        return next(iter(self._examples.values())).shape[0]

    @cached_property
    def _inputs(self) -> tuple[ParsedTensor, ...]:
        if self._annotations is not None:
            return parse_tensors(self._annotations, "input", self.name, self.where)
        tensors = []
        for name, array in self._examples.items():
            dtype = dtypes.from_numpy(array.dtype)
            if dtype is None or not array.ndim:
                raise self._failed(f'the example of "{name}" is {array.dtype}{list(array.shape)}', "give it a batch")
            tensors.append(ParsedTensor(TensorSpec(name, dtype.name, array.shape[1:]), batched=True))
        return tuple(tensors)

    def _call(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        import torch

        module = self._module
        with _evaluating(module), torch.inference_mode():
            result = module(**{name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in inputs.items()})
        return {name: tensor.detach().cpu().numpy() for name, tensor in self._named(result).items()}

    def _named(self, result: Any) -> dict[str, torch.Tensor]:
        if isinstance(result, Mapping):
            keys, tensors = [str(key) for key in result], list(result.values())
        elif isinstance(result, list | tuple):
            keys, tensors = [f"output_{index}" for index in range(len(result))], list(result)
        else:
            keys, tensors = ["output"], [result]
        names = list(self._output_names or keys)
        if len(names) != len(tensors):
            raise self._failed(f"outputs= gives {len(names)} names; forward gives {len(tensors)}", "name each")
        return dict(zip(names, tensors, strict=True))

    @cached_property
    def _exported(self) -> bytes:
        from tritonforge.define.torch_export import export

        names = list(self._call(self._examples))
        module = self._module
        with _evaluating(module):
            try:
                return export(module, self._examples, self._inputs, names)
            except ModuleNotFoundError as error:
                reason = f"torch's exporter needs {error.name}"
                raise self._failed(reason, "pip install 'tritonforge[torch]'") from error
            except Exception as error:
                reason = f"torch can't export it: {str(error).strip().splitlines()[0] if str(error) else error!r}"
                raise self._failed(reason, "see the traceback; or script it and use torchscript(path)") from error

    def _failed(self, message: str, hint: str) -> DiagnosticError:
        return DiagnosticError([Diagnostic("TF304", self.where, message, hint)])


def torchscript(
    path: str | PathLike[str],
    *,
    inputs: Annotations,
    outputs: Annotations,
    batching: Batching | None = None,
    instances: Instances | None = None,
    name: str | None = None,
) -> TorchScriptModel:
    """Serve a TorchScript file.

    Triton finds its tensors by position or by the name of `forward`'s argument: an input is named after an argument, or
    `<anything>__<position>`; an output is `<anything>__<position>`, and gets that ending where it has none.

    Args:
        path: the file, relative to the calling file.
        inputs: annotations by input name, in the order of `forward`'s arguments.
        outputs: annotations by output name, in order.
        batching: how requests are batched.
        instances: how many copies run; by default Triton decides.
        name: the model's name; by default that of the variable.
    """
    return TorchScriptModel(path, inputs, outputs, origin=caller(), name=name, batching=batching, instances=instances)


class TorchScriptModel(WeightsModel):
    """A TorchScript file that Triton's pytorch backend runs."""

    kind = "torchscript"

    def __init__(self, path: str | PathLike[str], inputs: Annotations, outputs: Annotations, **common: Any) -> None:
        super().__init__(**common)
        self._path = path
        self._inputs = inputs
        self._outputs = outputs

    @cached_property
    def signature(self) -> Signature:
        """As declared; TorchScript itself doesn't say."""
        numbered = {
            key if _position(key) is not None else f"{key}__{index}": value
            for index, (key, value) in enumerate(self._outputs.items())
        }
        inputs = parse_tensors(self._inputs, "input", self.name, self.where)
        outputs = parse_tensors(numbered, "output", self.name, self.where)
        tensors = [*inputs, *outputs]
        batched = any(tensor.batched for tensor in tensors)
        if any(tensor.batched != batched for tensor in tensors):
            reason = "some of its declared tensors have a batch dimension, some have none"
            raise self._failed("TF104", reason, 'begin every annotation with "batch", or none')
        return Signature(
            tuple(tensor.spec for tensor in inputs), tuple(tensor.spec for tensor in outputs), batched=batched
        )

    @property
    def files(self) -> tuple[File, ...]:
        """model.pt."""
        arguments = self._arguments
        for spec in self.signature.inputs:
            position = _position(spec.name)
            if spec.name not in arguments and (position is None or position >= len(arguments)):
                reason = f'forward has no argument "{spec.name}"; it takes {", ".join(arguments)}'
                raise self._failed("TF303", reason, f"name the input after one, or {spec.name}__0 by its position")
        return (File("model.pt", source=self._origin.beside(self._path, self.name)),)

    def run(self, inputs: Mapping[str, Array | None]) -> Any:
        """Run the file's `forward` with torch."""
        import torch

        arguments = self._arguments
        given = {
            name if name in arguments else arguments[_position(name) or 0]: torch.from_numpy(
                np.ascontiguousarray(array)
            )
            for name, array in inputs.items()
            if array is not None
        }
        with torch.inference_mode():
            result = self._script(**given)
        values = list(result.values()) if isinstance(result, dict) else result
        tensors = list(values) if isinstance(values, list | tuple) else [values]
        picked = {spec.name: tensors[_position(spec.name) or 0] for spec in self.signature.outputs}
        return self.returns.pack({name: tensor.cpu().numpy() for name, tensor in picked.items()})

    @property
    def _arguments(self) -> list[str]:
        return [argument.name for argument in self._script.forward.schema.arguments[1:]]

    @cached_property
    def _script(self) -> Any:
        path = self._origin.beside(self._path, self.name)
        try:
            import torch
        except ModuleNotFoundError as error:
            raise self._failed("TF304", "torch is not installed", "pip install 'tritonforge[torch]'") from error
        try:
            return torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
        except Exception as error:
            reason = f"{path.name} is not a TorchScript file: {str(error).splitlines()[0]}"
            raise self._failed("TF302", reason, "save it with torch.jit.script(module).save(path)") from error

    def _failed(self, code: str, message: str, hint: str) -> DiagnosticError:
        return DiagnosticError([Diagnostic(code, self.where, message, hint)])


def _position(name: str) -> int | None:
    """Read the position at the end of a tensor's name: 1 in `INPUT__1`."""
    _, found, position = name.rpartition("__")
    return int(position) if found and position.isdecimal() else None


@contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode for a while, and every part of it back as it was."""
    before = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in before.items():
            part.training = training
