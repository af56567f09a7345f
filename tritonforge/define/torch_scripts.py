"""TorchScript files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import Unpack

from tritonforge.define.arrays import Array
from tritonforge.define.origin import caller
from tritonforge.define.settings import Batching, Instances, OptionArguments
from tritonforge.define.signature import parse_tensors
from tritonforge.define.weights import Annotations, WeightsModel
from tritonforge.errors import Diagnostic, DiagnosticError
from tritonforge.ir import File, Signature

if TYPE_CHECKING:
    pass

__all__ = ["TorchScriptModel", "torchscript"]


def torchscript(
    path: str | PathLike[str],
    *,
    inputs: Annotations,
    outputs: Annotations,
    batching: Batching | None = None,
    instances: Instances | None = None,
    name: str | None = None,
    **options: Unpack[OptionArguments],
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
        options: the rest of the configuration: `response_cache`, `warmup`, `version_policy`, …; see `Options`.
    """
    return TorchScriptModel(
        path, inputs, outputs, origin=caller(), name=name, batching=batching, instances=instances
    ).configured(options)


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
        inputs = parse_tensors(self._inputs, "input", self.name, self.where)
        outputs = tuple(
            replace(tensor, spec=replace(tensor.spec, name=_numbered(tensor.spec.name, position)))
            for position, tensor in enumerate(parse_tensors(self._outputs, "output", self.name, self.where))
        )
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
        return (File("model.pt", source=self._beside(self._path)),)

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
        path = self._beside(self._path)
        try:
            import torch
        except ModuleNotFoundError as error:
            raise self._failed("TF304", "torch is not installed", "pip install 'tritonforge[torch]'") from error
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript as a whole, which the user chose
                return torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
        except Exception as error:
            reason = f"{path.name} is not a TorchScript file: {(str(error).strip() or repr(error)).splitlines()[0]}"
            raise self._failed("TF302", reason, "save it with torch.jit.script(module).save(path)") from error

    def _failed(self, code: str, message: str, hint: str) -> DiagnosticError:
        return DiagnosticError([Diagnostic(code, self.where, message, hint)])


def _numbered(name: str, position: int) -> str:
    return name if _position(name) is not None else f"{name}__{position}"


def _position(name: str) -> int | None:
    """Read the position at the end of a tensor's name: 1 in `INPUT__1`."""
    _, found, position = name.rpartition("__")
    return int(position) if found and position.isdecimal() else None
