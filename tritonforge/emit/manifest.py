"""tritonforge.json: what a repository was built from, and what is in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tritonforge.emit.model import kind_of
from tritonforge.ir import Graph, InputRef, Model, Reference, TensorSpec

__all__ = ["SCHEMA", "Built", "manifest"]

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Built:
    """A model as built: its version, the hash of its content, and of each file below its folder.

    `golden` says which file has its golden samples; empty where there are none.
    """

    model: Model
    version: int
    content_hash: str
    files: Mapping[str, str]
    sources: Mapping[str, str]
    golden: Mapping[str, Any] = field(default_factory=dict)


def manifest(
    models: Iterable[Built], retired: Mapping[str, Mapping[str, Any]], *, tool_version: str, target: str
) -> bytes:
    """Write the manifest, sorted, so that the same models give the same bytes.

    `retired` are the last version and hash of models that are gone, so that a version never means two contents.
    """
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "tritonforge": tool_version,
        "target": target,
        "models": {built.model.config.name: _model(built) for built in models},
    }
    if retired:
        content["retired"] = dict(retired)
    return (json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _model(built: Built) -> dict[str, Any]:
    signature = built.model.signature
    entry: dict[str, Any] = {
        "version": built.version,
        "hash": built.content_hash,
        "kind": kind_of(built.model),
        "signature": {
            "batched": signature.batched,
            "decoupled": signature.decoupled,
            "inputs": [_tensor(spec) for spec in signature.inputs],
            "outputs": [_tensor(spec) for spec in signature.outputs],
        },
        "files": dict(built.files),
    }
    if built.model.environment:
        entry["environment"] = {"python": built.model.environment}
    if built.model.requirements:
        entry["requirements"] = list(built.model.requirements)
    if built.sources:
        entry["sources"] = dict(built.sources)
    if built.golden:
        entry["golden"] = dict(built.golden)
    if built.model.graph is not None:
        entry["graph"] = _graph(built.model.graph)
    return entry


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    entry = {
        "name": spec.name,
        "datatype": spec.datatype,
        "dims": list(spec.dims),
        "optional": spec.optional,
        "text": spec.text,
    }
    return entry if spec.reshaped is None else {**entry, "reshaped": list(spec.reshaped)}


def _graph(graph: Graph) -> dict[str, Any]:
    return {
        "steps": [
            {"model": step.model, "inputs": {name: _reference(ref) for name, ref in step.inputs}}
            for step in graph.steps
        ],
        "outputs": {name: _reference(ref) for name, ref in graph.outputs},
    }


def _reference(reference: Reference) -> dict[str, Any]:
    if isinstance(reference, InputRef):
        return {"input": reference.name}
    return {"step": reference.step, "output": reference.output}
