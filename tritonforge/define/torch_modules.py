"""torch modules, exported to ONNX when they are first needed."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import Unpack

from tritonforge import dtypes
from tritonforge.define.annotations import ParsedTensor
from tritonforge.define.arrays import Array
from tritonforge.define.factories import make
from tritonforge.define.origin import caller
from tritonforge.define.settings import Batching, Instances, OptionArguments
from tritonforge.define.signature import parse_tensors
from tritonforge.define.weights import Annotations, OnnxModel
from tritonforge.errors import Diagnostic, DiagnosticError
from tritonforge.ir import TensorSpec

__all__ = ["torch_module"]

_NO_KERNEL = "Could not find an implementation for"
"""ONNX Runtime's word (1.23) of an operation and a data type, such as bfloat16, that it has no code for."""

if TYPE_CHECKING:
    import torch

    Example = Array | torch.Tensor | Sequence[Array | torch.Tensor] | Mapping[str, Array | torch.Tensor]


def torch_module(
    module: torch.nn.Module | Callable[[], torch.nn.Module],
    *,
    example: Example,
    inputs: Annotations | None = None,
    outputs: Sequence[str] | Annotations | None = None,
    batching: Batching | None = None,
    instances: Instances | None = None,
    name: str | None = None,
    **options: Unpack[OptionArguments],
) -> OnnxModel:
    """Serve a torch module as ONNX.

    The module is exported once, when it is first called or built. Eager calls run the exported graph, which is what is
    served; the module itself stays as it is, for training.

    Args:
        module: the module, or a function of no arguments that makes it (then no server imports torch for the sake of
            this line). Of `torch.compile` and of data parallel wrappers, what is inside is exported.
        example: arrays or tensors that it can be called on: one, several in the order of `forward`'s parameters, or by
            their names. Their first dimension is the batch.
        inputs: annotations by parameter name, where other dimensions vary too (`"batch 3 height width"`), or where the
            first is no batch.
        outputs: the names of the outputs, in order, or annotations by name, which are held against the graph. By
            default `output` for a tensor, `output_0`, `output_1`, … for a tuple, and the keys for a dict.
        batching: how requests are batched.
        instances: how many copies run; by default Triton decides.
        name: the model's name; by default that of the variable.
        options: the rest of the configuration: `response_cache`, `warmup`, `version_policy`, …; see `Options`.
    """
    return OnnxModel(
        partial(_export, module, example, inputs, None if outputs is None else tuple(outputs)),
        origin=caller(),
        name=name,
        batching=batching,
        instances=instances,
        inputs=inputs,
        outputs=outputs if isinstance(outputs, Mapping) else None,
        batched=True if inputs is None else None,
    ).configured(options)


def _export(
    given: Any, example: Example, annotations: Annotations | None, outputs: Sequence[str] | None, model: OnnxModel
) -> bytes:
    try:
        import torch

        from tritonforge.define.torch_export import evaluating, export, find_fixed_size, inside
    except ModuleNotFoundError as error:
        raise _failed(model, f"{error.name} is not installed", "pip install 'tritonforge[torch]'") from error
    if isinstance(given, torch.export.ExportedProgram):
        hint = "give the module that it was exported of; or torch.onnx.export it, and use onnx(path)"
        raise _failed(model, "it is an exported program, whose sizes are settled", hint)
    if not callable(given):  # a module is, too
        reason = f"it is {reprlib.repr(given)}, of type {type(given).__name__}"
        raise _failed(model, reason, "give a torch.nn.Module, or a function of no arguments that makes it")
    module = inside(given if isinstance(given, torch.nn.Module) else make(given, model.where))
    if not isinstance(module, torch.nn.Module):
        spelled = getattr(given, "__qualname__", type(given).__name__)
        raise _failed(model, f"{spelled}() gave a {type(module).__name__}", "give a torch.nn.Module")
    if isinstance(module, torch.jit.ScriptModule):
        hint = "give the module that it was scripted of; or save it, and use torchscript(path)"
        raise _failed(model, "it is TorchScript, which torch doesn't export to ONNX", hint)
    arrays = _named_examples(example, list(inspect.signature(module.forward).parameters), model)
    declared = None if annotations is None else parse_tensors(annotations, "input", model.name, model.where)
    if declared and (left := sorted(arrays.keys() ^ {tensor.spec.name for tensor in declared})):
        hint = f"annotate what the example has: {', '.join(arrays)}"
        raise _failed(model, f"inputs= and the example differ in {', '.join(left)}", hint)
    tensors = declared or _tensors(arrays, model)
    if any(tensor.batched for tensor in tensors):
        arrays = _doubled(arrays)
    try:
        with evaluating(module):
            content = export(module, arrays, tensors, outputs)
            fixed = find_fixed_size(module, content, arrays, tensors)
    except ModuleNotFoundError as error:
        raise _failed(model, f"torch's exporter needs {error.name}", "pip install 'tritonforge[torch]'") from error
    except (Exception, SystemExit) as error:
        cause: BaseException = error
        while cause.__cause__ is not None:  # the exporter's own error only says that it failed
            cause = cause.__cause__
        words = (str(cause).strip() or repr(cause)).splitlines()[0]
        reason = f"torch can't export it: {words}"
        hint = "call the module on the example: mend that where it fails; or script it and use torchscript(path)"
        if _NO_KERNEL in words:
            reason = f"ONNX Runtime can't run on a processor what torch exports of it: {words}"
            hint = "give it in float32: module.float(); or script it and use torchscript(path)"
        raise _failed(model, reason, hint) from error
    if fixed is not None:
        dim, size, shown = fixed
        hint = (
            f"declare {size} in its place; or script the module and use torchscript(path); "
            "or export it with torch.onnx.export(…, dynamo=False), and use onnx(path)"
        )
        reason = f"{dim} is fixed at {size} by the graph that torch exports: {shown}"
        raise DiagnosticError([Diagnostic("TF303", model.where, reason, hint)])
    return content


def _named_examples(example: Example, parameters: Sequence[str], model: OnnxModel) -> dict[str, Array]:
    """Give the example by parameter name."""
    if isinstance(example, Mapping):
        unknown = example.keys() - set(parameters)
        if unknown:
            found = ", ".join(sorted(map(str, unknown)))
            raise _failed(model, f"the example has {found}", f"forward takes {', '.join(parameters)}")
        return {name: _array(name, value, model) for name, value in example.items()}
    several = example if isinstance(example, list | tuple) else [example]
    if len(several) > len(parameters):
        raise _failed(model, f"{len(several)} example arrays", f"forward takes {', '.join(parameters)}")
    return {name: _array(name, value, model) for name, value in zip(parameters, several, strict=False)}


def _array(name: str, value: object, model: OnnxModel) -> Array:
    """Give one array of the example; of a torch tensor, too."""
    import torch

    if isinstance(value, torch.Tensor):
        try:
            return value.detach().cpu().numpy()
        except TypeError as error:  # bfloat16, which NumPy hasn't
            raise _failed(model, f'the example of "{name}" is a {value.dtype} tensor', "give it as float32") from error
    if isinstance(value, np.ndarray):
        return value
    reason = f'the example of "{name}" is of type {type(value).__name__}'
    raise _failed(model, reason, "give an array or a tensor, several in a list, or a dict of them by parameter")


def _tensors(arrays: Mapping[str, Array], model: OnnxModel) -> tuple[ParsedTensor, ...]:
    """Describe the example's arrays, the first dimension of each as the batch."""
    tensors = []
    for name, array in arrays.items():
        dtype = dtypes.from_numpy(array.dtype)
        if dtype is None or not array.ndim:
            reason = f'the example of "{name}" is {array.dtype}{list(array.shape)}'
            raise _failed(model, reason, "give an array of one of Triton's data types, with a batch dimension")
        tensors.append(ParsedTensor(TensorSpec(name, dtype.name, array.shape[1:]), batched=True))
    return tuple(tensors)


def _doubled(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Make a batch of one a batch of two; torch's exporter takes a size of 1 for a fixed one."""
    alone = all(array.shape[:1] == (1,) for array in arrays.values())
    return {name: np.concatenate([array, array]) if alone else array for name, array in arrays.items()}


def _failed(model: OnnxModel, message: str, hint: str) -> DiagnosticError:
    return DiagnosticError([Diagnostic("TF304", model.where, message, hint)])
