"""A TorchScript module called with arrays, by the rules of the native backend."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch_arrays
import torch_names
import torch_signature
from torch_options import Options, set_options
from tritonforge_runtime import Loaded, LoadError, ModelSpec, parse_ragged, with_controls, with_states

__all__ = ["load"]

jit: Any = torch.jit  # mostly unannotated


def load(spec: ModelSpec, args: Mapping[str, str]) -> Loaded:
    """Load the module of one instance.

    Raises:
        LoadError: the file is missing, is no TorchScript, or wants other inputs than the configuration has.
    """
    fields = json.loads(args["model_config"])
    options = set_options(fields)
    path = Path(args["model_repository"], args["model_version"], fields["default_model_filename"] or "model.pt")
    if not path.is_file():
        raise LoadError(f"unable to find {path}")
    device, without = _device(args)
    try:
        module = jit.load(str(path), map_location=device).eval()
    except RuntimeError as error:
        raise LoadError(f"torch can't load {path}: {error}") from error
    spec = with_controls(spec, _control_names(spec, module))
    ragged = parse_ragged(args["model_config"]) if spec.batched else None
    seen = with_states(spec, ragged)
    strings = [tensor.name for tensor in seen.inputs if tensor.datatype == "BYTES"]
    computed = [one.tensor for one in ragged.computed] if ragged else []
    fed = replace(seen, inputs=(*seen.inputs, *computed))
    return Loaded(
        _runner(fed, module, device, options),
        text=strings,
        ragged=ragged,
        stateful=seen is not spec,
        spec=spec,
        notices=(*without, *options.notices, *torch_signature.unlike_native(fed, module)),
    )


def _control_names(spec: ModelSpec, module: Any) -> list[str]:
    """Name the controls that `forward` takes: by an argument's name, or by a place, as in `START__1`."""
    arguments = {argument.name for argument in module.forward.schema.arguments[1:]}
    controls = spec.sequence.controls if spec.sequence else ()
    return [each.name for each in controls if each.name in arguments or torch_names.index_of(each.name) is not None]


def _runner(spec: ModelSpec, module: Any, device: torch.device | None, options: Options) -> Callable[..., Any]:
    call = _call(spec, module, device)
    places = torch_names.places_of([tensor.name for tensor in spec.outputs])
    cleans = options.cleans and torch.cuda.is_available()

    def run(**inputs: Any) -> Any:
        with options.mode(), jit.optimized_execution(options.optimized):
            results = _arrange(call(inputs), places)
        if cleans:
            torch.cuda.empty_cache()
        return results

    return run


def _call(spec: ModelSpec, module: Any, device: torch.device | None) -> Callable[[Mapping[str, Any]], Any]:
    """Make the call of `forward` with the arrays of a model's inputs, by name."""
    arguments = module.forward.schema.arguments[1:]
    inputs = [tensor.name for tensor in spec.inputs]
    if torch_signature.takes_dictionary(arguments):
        return lambda given: module(
            {name: torch_arrays.to_torch(given[name], device) for name in inputs if given[name] is not None}
        )
    named = torch_names.arguments_of(inputs, [argument.name for argument in arguments])
    names = list(zip(inputs, named, strict=True))
    defaults = {argument.name for argument in arguments if argument.has_default_value()}
    return lambda given: module(
        **{
            argument: torch_arrays.to_torch(given[name], device)
            for name, argument in names
            if given[name] is not None or argument not in defaults
        }
    )


def _arrange(result: Any, places: Sequence[int]) -> Any:
    """Give what `forward` returned as arrays: a mapping by name, or a tuple in the order of the outputs."""
    if isinstance(result, dict):
        return {name: torch_arrays.to_numpy(value) for name, value in result.items()}
    # A list of strings is one output; any other sequence is one output for each item.
    several = isinstance(result, tuple) or (isinstance(result, list) and not torch_arrays.is_text(result))
    values = tuple(result) if several else (result,)
    if max(places) >= len(values):
        return tuple(map(torch_arrays.to_numpy, values))  # refused by the runtime, which says what is wanted
    return tuple(torch_arrays.to_numpy(values[place]) for place in places)  # as natively, some may be left out


def _device(args: Mapping[str, str]) -> tuple[torch.device | None, list[str]]:
    """Give the device of an instance, and a notice where it can't be had; None leaves it to a module of KIND_MODEL."""
    kind = args["model_instance_kind"]
    if kind == "MODEL":
        return None, []
    if kind == "GPU" and torch.cuda.is_available():
        return torch.device("cuda", int(args["model_instance_device_id"])), []
    notice = "this torch has no CUDA: a GPU instance runs on the CPU; install torch with CUDA"
    return torch.device("cpu"), [notice] if kind == "GPU" else []
