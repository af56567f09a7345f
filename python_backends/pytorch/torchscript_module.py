"""A TorchScript module called with arrays, with the options that the native backend reads from config.pbtxt."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch_arrays
from tritonforge_runtime import Loaded, LoadError, ModelSpec, TensorSpec, parse_ragged, with_states

__all__ = ["arguments_of", "load"]

jit: Any = torch.jit  # mostly unannotated

_INDEXED = re.compile(r".+__(\d+)")


def load(spec: ModelSpec, args: Mapping[str, str]) -> Loaded:
    """Load the module of one instance.

    Raises:
        LoadError: the file is missing, is no TorchScript, or wants other inputs than the configuration has.
    """
    fields = json.loads(args["model_config"])
    parameters = {name: value["string_value"] for name, value in fields["parameters"].items()}
    _set_threads(parameters)
    path = Path(args["model_repository"], args["model_version"], fields["default_model_filename"] or "model.pt")
    if not path.is_file():
        raise LoadError(f"unable to find {path}")
    device = _device(args)
    try:
        module = jit.load(str(path), map_location=device).eval()
    except RuntimeError as error:
        raise LoadError(f"torch can't load {path}: {error}") from error
    ragged = parse_ragged(args["model_config"]) if spec.batched else None
    seen = with_states(spec, ragged)
    strings = [tensor.name for tensor in seen.inputs if tensor.datatype == "BYTES"]
    computed = [one.tensor for one in ragged.computed] if ragged else []
    fed = replace(seen, inputs=(*seen.inputs, *computed))
    runner = _runner(fed, module, device, parameters)
    return Loaded(runner, text=strings, ragged=ragged, stateful=seen is not spec)


def arguments_of(inputs: Sequence[TensorSpec], arguments: Sequence[str]) -> list[str]:
    """Find the argument of `forward` that each input is.

    By the native backend's conventions: all names are `…__0`, `…__1`, or all are arguments' names; or else the order in
    the configuration counts.

    Raises:
        LoadError: two inputs are one argument, or there are fewer arguments than inputs.
    """
    names = [tensor.name for tensor in inputs]
    indexed = [int(match[1]) for name in names if (match := _INDEXED.fullmatch(name))]
    if set(names) <= set(arguments):
        return names
    places = indexed if len(indexed) == len(names) else list(range(len(names)))
    if len(set(places)) < len(places) or max(places, default=-1) >= len(arguments):
        raise LoadError(f"inputs {', '.join(names)} don't fit forward({', '.join(arguments)}), by position or by name")
    return [arguments[place] for place in places]


def _runner(spec: ModelSpec, module: Any, device: torch.device, parameters: Mapping[str, str]) -> Callable[..., Any]:
    arguments = module.forward.schema.arguments[1:]
    named = arguments_of(spec.inputs, [argument.name for argument in arguments])
    names = list(zip([tensor.name for tensor in spec.inputs], named, strict=True))
    defaults = {argument.name for argument in arguments if argument.has_default_value()}
    places = _places(spec.outputs)
    mode = torch.inference_mode if _flag(parameters, "INFERENCE_MODE", default=True) else torch.no_grad
    optimized = not _flag(parameters, "DISABLE_OPTIMIZED_EXECUTION", default=False)

    def run(**inputs: Any) -> Any:
        given = {
            argument: torch_arrays.to_torch(inputs[name], device)
            for name, argument in names
            if inputs[name] is not None or argument not in defaults
        }
        with mode(), jit.optimized_execution(optimized):
            return _arrange(module(**given), places)

    return run


def _places(outputs: Sequence[TensorSpec]) -> list[int]:
    """Find each output's place among the results: `…__0`, `…__1`, or else the order in the configuration."""
    places = [int(match[1]) for tensor in outputs if (match := _INDEXED.fullmatch(tensor.name))]
    return places if sorted(places) == list(range(len(outputs))) else list(range(len(outputs)))


def _arrange(result: Any, places: Sequence[int]) -> Any:
    """Give what `forward` returned as arrays: a mapping by name, or a tuple in the order of the outputs."""
    if isinstance(result, dict):
        return {name: torch_arrays.to_numpy(value) for name, value in result.items()}
    # A list of strings is one output; any other sequence is one output for each item.
    several = isinstance(result, tuple) or (isinstance(result, list) and not torch_arrays.is_text(result))
    values = tuple(result) if several else (result,)
    if len(values) != len(places):
        return tuple(map(torch_arrays.to_numpy, values))  # refused by the runtime, which says what is wanted
    return tuple(torch_arrays.to_numpy(values[place]) for place in places)


def _set_threads(parameters: Mapping[str, str]) -> None:
    """Set the process's thread counts; by default torch takes all cores, as natively."""
    for name, set_threads in (
        ("INTRA_OP_THREAD_COUNT", torch.set_num_threads),
        ("INTER_OP_THREAD_COUNT", torch.set_num_interop_threads),
    ):
        value = parameters.get(name, "0")
        if not value.isdecimal():
            raise LoadError(f"{name} is {value!r}; wanted a number of threads, or 0 for as many as there are cores")
        if int(value) > 0:
            set_threads(int(value))


def _flag(parameters: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = parameters.get(name, str(default)).lower()
    if value not in ("0", "1", "false", "true"):
        raise LoadError(f"{name} is {value!r}; wanted true or false")
    return value in ("1", "true")


def _device(args: Mapping[str, str]) -> torch.device:
    if args["model_instance_kind"] != "GPU":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        sys.stderr.write("this torch has no CUDA: a GPU instance runs on the CPU\n")
        return torch.device("cpu")
    return torch.device("cuda", int(args["model_instance_device_id"]))
