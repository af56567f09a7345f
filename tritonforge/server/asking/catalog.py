"""What a running server serves, for people: each model with its kind and signature."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritonforge.ir import Signature, TensorSpec
from tritonforge.manifest import InvalidManifest, read_manifest
from tritonforge.server.asking.health import Health, ModelState

__all__ = ["ServedModel", "describe_models"]


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A version of a model as served. `kind` is the manifest's (`python`, `onnx`), or the server's platform."""

    name: str
    version: str
    state: str
    kind: str
    signature: str


def describe_models(states: Iterable[ModelState], repository: Path, health: Health) -> list[ServedModel]:
    """Describe models by the repository's manifest, which names the dimensions, or else by what the server says."""
    known: Mapping[str, Any] = {}
    with contextlib.suppress(InvalidManifest):
        known = read_manifest(repository).get("models", {})
    return [_describe(state, known.get(state.name), health) for state in states]


def _describe(state: ModelState, entry: Mapping[str, Any] | None, health: Health) -> ServedModel:
    if entry is not None and str(entry.get("version")) == state.version:
        signature = entry["signature"]
        text = _signature(signature, "dims", batched=signature["batched"])
        return ServedModel(state.name, state.version, state.state, entry["kind"], text)
    told = health.metadata(state.name, state.version) if state.version else {}
    text = _signature(told, "shape", batched=False) if told else ""
    return ServedModel(state.name, state.version, state.state, told.get("platform", ""), text)


def _signature(entry: Mapping[str, Any], dims: str, *, batched: bool) -> str:
    """Spell inputs and outputs; a variable dimension without a name is `-1`."""
    inputs, outputs = (
        tuple(
            TensorSpec(
                tensor["name"],
                tensor["datatype"],
                tuple(dim if isinstance(dim, str) else int(dim) for dim in tensor[dims]),
                bool(tensor.get("optional", False)),
            )
            for tensor in entry.get(side, ())
        )
        for side in ("inputs", "outputs")
    )
    return str(Signature(inputs, outputs, batched))
