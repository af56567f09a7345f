"""An ONNX Runtime session of a model's file, and the function that it is."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx_config
import onnx_settings
from tritonforge_runtime import Loaded, LoadError, ModelSpec, parse_ragged, with_controls, with_states

__all__ = ["find_model", "load", "open_for_completion", "open_session"]

onnxruntime: Any = importlib.import_module("onnxruntime")  # to a type checker the plain import is this very folder


def load(spec: ModelSpec, args: Mapping[str, str]) -> Loaded:
    """Open the session of one instance.

    Raises:
        LoadError: the file is missing, a parameter makes no sense, or the graph isn't what the configuration says.
    """
    fields = json.loads(args["model_config"])
    path = find_model(f"{args['model_repository']}/{args['model_version']}", fields)
    gpu = int(args["model_instance_device_id"]) if args["model_instance_kind"] == "GPU" else None
    settings = onnx_settings.read_settings(onnxruntime, fields, gpu=gpu)
    session = open_session(path, settings)
    notices = (*settings.notices, *_unlike_native(spec, settings, session))
    spec = with_controls(spec, [node.name for node in session.get_inputs()])
    ragged = parse_ragged(args["model_config"]) if spec.batched else None
    seen = with_states(spec, ragged)
    onnx_config.check(seen, session, ragged)
    # ONNX Runtime takes strings as `str` alone: it would read the repr of `bytes`.
    strings = [tensor.name for tensor in seen.inputs if tensor.datatype == "BYTES"]
    return Loaded(
        _runner(seen, session, settings.run),
        text=strings,
        ragged=ragged,
        stateful=seen is not spec,
        spec=spec,
        notices=notices,
    )


def find_model(folder: str, fields: Mapping[str, Any]) -> Path:
    """Find the model's file in a version's folder; a folder of its name holds `model.onnx` and its external data.

    Raises:
        LoadError: it isn't there.
    """
    path = Path(folder) / (fields["default_model_filename"] or "model.onnx")
    path = path / "model.onnx" if path.is_dir() else path
    if not path.is_file():
        raise LoadError(f"unable to find {path}")
    return path


def open_session(path: Path, settings: onnx_settings.Settings) -> Any:
    """Open a session.

    Raises:
        LoadError: ONNX Runtime refuses the file.
    """
    try:
        return onnxruntime.InferenceSession(str(path), settings.session, providers=list(settings.providers))
    except Exception as error:  # ONNX Runtime's own exceptions have no common base
        raise LoadError(f"ONNX Runtime can't load {path}: {error}") from error


def open_for_completion(folder: str, fields: Mapping[str, Any]) -> Any:
    """Open the session of a version's folder whose graph is to complete the configuration.

    Raises:
        LoadError: the file is missing, or a parameter makes no sense.
    """
    return open_session(find_model(folder, fields), onnx_settings.read_settings(onnxruntime, fields))


def _unlike_native(spec: ModelSpec, settings: onnx_settings.Settings, session: Any) -> list[str]:
    """Say what NVIDIA's backend would refuse, and which providers the library has and couldn't start."""
    given = {node.name for node in session.get_inputs()}
    started = session.get_providers()
    return [
        f"control_input {each.name} is no input of the graph; NVIDIA's backend refuses that"
        for each in (spec.sequence.controls if spec.sequence else ())
        if each.name not in given
    ] + [
        f"ONNX Runtime couldn't start {name}, and says why above; the graph runs on {', '.join(started)}"
        for name, _ in settings.providers
        if name not in started
    ]


def _runner(spec: ModelSpec, session: Any, options: Any) -> Callable[..., Any]:
    """Make the function from inputs to the tuple of outputs."""
    names = [tensor.name for tensor in spec.outputs]
    optional = any(tensor.optional for tensor in spec.inputs)
    scalars = {node.name for node in session.get_outputs() if node.shape == []} if not spec.batched else set()

    def run(**inputs: Any) -> tuple[Any, ...]:
        if optional:  # one that isn't given keeps the value that the graph has for it
            inputs = {name: array for name, array in inputs.items() if array is not None}
        return tuple(session.run(names, inputs, options))

    def run_with_scalars(**inputs: Any) -> tuple[Any, ...]:
        results = zip(names, run(**inputs), strict=True)
        return tuple(np.reshape(result, 1) if name in scalars else result for name, result in results)

    return run_with_scalars if scalars else run
