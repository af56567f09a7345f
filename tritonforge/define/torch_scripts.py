"""TorchScript files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from os import PathLike
from typing import Any

from typing_extensions import Unpack

from tritonforge.define.arrays import Array
from tritonforge.define.origin import Origin, caller
from tritonforge.define.reshapes import reshaped
from tritonforge.define.settings import Batching, Instances, OptionArguments
from tritonforge.define.signature import parse_tensors
from tritonforge.define.torch_tensors import is_text, to_numpy, to_torch
from tritonforge.define.weights import Annotations, WeightsModel
from tritonforge.errors import Diagnostic, DiagnosticError, InvalidTensor
from tritonforge.ir import File, Signature

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

    Triton finds its tensors by position or by the name of `forward`'s argument: all inputs are named after arguments,
    or all `<anything>__<position>`; an output is `<anything>__<position>`, and gets that ending where it has none. A
    `forward` that takes one `Dict[str, Tensor]` gets all inputs in it, by name. Strings are lists of `str`.

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
        path, origin=caller(), name=name, batching=batching, instances=instances, inputs=inputs, outputs=outputs
    ).configured(options)


class TorchScriptModel(WeightsModel):
    """A TorchScript file that Triton's pytorch backend runs."""

    kind = "torchscript"

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        origin: Origin,
        name: str | None,
        batching: Batching | None,
        instances: Instances | None,
        inputs: Annotations,
        outputs: Annotations,
    ) -> None:
        super().__init__(origin=origin, name=name, batching=batching, instances=instances)
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
        specs, given = (tuple(tensor.spec for tensor in side) for side in (inputs, outputs))
        return reshaped(Signature(specs, given, batched=batched), self.options.tensors)

    @property
    def files(self) -> tuple[File, ...]:
        """model.pt."""
        _ = self._arguments
        return (File("model.pt", source=self._beside(self._path)),)

    def run(self, inputs: Mapping[str, Array | None]) -> Any:
        """Run the file's `forward` with torch.

        Raises:
            InvalidTensor: a string isn't UTF-8.
        """
        import torch

        try:
            given = {name: None if array is None else to_torch(array) for name, array in inputs.items()}
        except UnicodeDecodeError as error:
            reason = f"TorchScript has text alone, and a string is not UTF-8 ({error})"
            raise InvalidTensor(f"{self.name}: {reason}") from error
        with torch.inference_mode():
            result = self._call(given)
        # A list of strings is one output; any other sequence is one output for each item.
        several = isinstance(result, tuple) or (isinstance(result, list) and not is_text(result))
        values = list(result) if several else [result]
        picked = {spec.name: values[_position(spec.name) or 0] for spec in self.signature.outputs}
        return self.returns.pack({name: to_numpy(value) for name, value in picked.items()})

    def _call(self, given: Mapping[str, Any]) -> Any:
        """Call `forward`; what isn't given is left out where that has a default, or a dictionary of all."""
        arguments = self._arguments
        if arguments is None:
            return self._script({name: value for name, value in given.items() if value is not None})
        wants = {argument.name for argument in self._schema.arguments if not argument.has_default_value()}
        named = {arguments[name]: value for name, value in given.items()}
        return self._script(**{name: value for name, value in named.items() if value is not None or name in wants})

    @cached_property
    def _arguments(self) -> Mapping[str, str] | None:
        """The argument of `forward` that each input is; None where it takes one dictionary of all.

        Raises:
            DiagnosticError: an input is none of them, or results come in a dictionary.
        """
        returned = self._schema.returns[0].type
        if returned.kind() == "DictType":
            reason = f"forward returns {returned.annotation_str}, and Triton finds outputs by position"
            raise self._failed("TF303", reason, "return a tuple of tensors, in the order of outputs=")
        arguments = self._schema.arguments[1:]
        if len(arguments) == 1 and arguments[0].type.kind() == "DictType":
            return None
        known = [argument.name for argument in arguments]
        names = [spec.name for spec in self.signature.inputs]
        if set(names) <= set(known):
            return dict(zip(names, names, strict=True))
        places = {name: known[at] for name in names if (at := _position(name)) is not None and at < len(known)}
        if len(set(places.values())) == len(names):
            return places
        for name in names:
            if name not in known and name not in places:
                reason = f'forward has no argument "{name}"; it takes {", ".join(known)}'
                raise self._failed("TF303", reason, f"name the input after one, or {name}__0 by its position")
        reason = f"its inputs {', '.join(names)} are named in two ways, or twice by one position"
        raise self._failed("TF303", reason, f"name all after arguments ({', '.join(known)}), or all by position")

    @property
    def _schema(self) -> Any:
        return self._script.forward.schema

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
