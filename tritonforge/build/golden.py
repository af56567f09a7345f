"""Golden samples: the definitions, run on their examples or on random input, so that a server can be held to them."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import inspect
import json
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tritonforge.build.discover import own_modules
from tritonforge.build.environments import other_packages
from tritonforge.build.golden_faults import NotOneAnswer, OtherPackages, TooManyRows, fault
from tritonforge.build.mixed_rows import find_mixed
from tritonforge.define import Definition
from tritonforge.define.arrays import Array
from tritonforge.define.request_parameters import check_request_parameters
from tritonforge.emit import Built
from tritonforge.errors import Diagnostic
from tritonforge.ir import ANONYMOUS, File, Signature, TensorSpec
from tritonforge.lower import Gathered
from tritonforge.request_parameters import Parameter
from tritonforge.samples import Golden, NotKept, draw, matches, write_golden

__all__ = ["GoldenMaker", "drawn_before", "golden_files"]

_ROWS = 3
_LARGEST_DIM = 8
_EXACT = 1e-9


@dataclass(slots=True)
class GoldenMaker:
    """Makes the golden samples of a build's models: of each definition's examples, or `count` at random.

    Those that `output` holds are kept while nothing that they are made of has changed: another machine's floats differ
    in their last bits. `diagnostics` say which models have none, and why: errors where they fail on their own examples.
    """

    gathered: Gathered
    previous: Mapping[str, Any]
    output: Path
    count: int = 0
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def __call__(self, built: Sequence[Built]) -> Iterator[tuple[Built, File]]:
        """Give each model that has samples, with its entry for the manifest, and the file."""
        definitions = {definition.name: definition for definition in self.gathered.definitions}
        names = {one.model.config.name: one for one in built}
        for one in built:
            definition = definitions.get(one.model.config.name)
            if definition is None or not (definition.options.examples or self.count):
                continue
            try:
                content, entry = self._content(one, definition, names)
            except (Exception, SystemExit) as error:  # the user's own code may raise anything
                self.diagnostics.append(fault(definition, error))
                continue
            yield replace(one, golden=entry), File(entry["file"], content=content)

    def _content(
        self, one: Built, definition: Definition[..., Any], built: Mapping[str, Built]
    ) -> tuple[bytes, dict[str, Any]]:
        name = one.model.config.name
        made_of = self._digest(definition, built)
        kept = self.previous.get("models", {}).get(name, {}).get("golden", {})
        content = self._kept(kept) if kept.get("of") == made_of else None
        if content is None:
            given = self._inputs(one, definition)
            _refuse_other_packages(self._names(definition), built)
            before = set(sys.modules)
            content = write_golden(_run(definition, inputs) for inputs in given)
            self.diagnostics += _left_behind(one, before)
            self.diagnostics += _mixing(one, definition, given)
        sha256 = hashlib.sha256(content).hexdigest()
        examples = len(definition.options.examples)
        return content, {
            "file": f"{name}.golden.npz",
            "of": made_of,
            "random": not examples,
            "samples": examples or self.count,
            "sha256": sha256,
        }

    def _names(self, definition: Definition[..., Any]) -> list[str]:
        """Name a model and those that it calls."""
        return sorted({definition.name, *(part.name for part in self.gathered.parts(definition))})

    def _digest(self, definition: Definition[..., Any], built: Mapping[str, Built]) -> str:
        """Hash what samples are made of: the model, those that it calls, and the examples.

        Of an environment it says so: builds once made samples with whatever packages they had themselves.
        """
        own = definition.signature.request_parameters
        examples = [
            Golden(
                {key: np.asarray(value) for key, value in example.items() if value is not None and key != own},
                {},
                parameters=_parameters(definition, example),
            )
            for example in definition.options.examples
        ]
        given = hashlib.sha256(write_golden(examples)).hexdigest() if examples else self.count
        parts = {name: built.get(name) for name in self._names(definition)}
        made_of = [
            [name, one.content_hash if one else "", *(["environment"] if one and one.model.environment else [])]
            for name, one in parts.items()
        ]
        return hashlib.sha256(json.dumps([made_of, given]).encode()).hexdigest()

    def _kept(self, entry: Mapping[str, Any]) -> bytes | None:
        path = self.output / entry["file"]
        content = path.read_bytes() if path.is_file() else b""
        return content if hashlib.sha256(content).hexdigest() == entry["sha256"] else None

    def _inputs(self, one: Built, definition: Definition[..., Any]) -> Sequence[Mapping[str, Any]]:
        signature = definition.signature
        limit = one.model.config.max_batch_size
        if signature.decoupled or signature.sequence or definition.options.sequence_batching:
            raise NotOneAnswer("a stream or a sequence isn't one answer to one request")
        if definition.options.examples:
            _fit(definition.options.examples, limit)
            return definition.options.examples
        random = np.random.default_rng(0)
        rows = min(_ROWS, limit)
        most = {dim.name: dim.buckets[-1] for dim in getattr(definition, "padding", ()) if dim.buckets}
        largest = {dim: min(_LARGEST_DIM, most.get(dim, _LARGEST_DIM)) for dim in _names(signature)}
        sizes = {dim: int(random.integers(1, size + 1)) for dim, size in largest.items()}
        return [
            {spec.name: _drawn(spec, (1 + number % rows,) if rows else (), sizes, random) for spec in signature.inputs}
            for number in range(self.count)
        ]


def _refuse_other_packages(names: Iterable[str], built: Mapping[str, Built]) -> None:
    """Refuse to run models here that are served with other packages.

    Raises:
        OtherPackages: there is one among them.
    """
    for name in names:
        if name in built and (packages := other_packages(built[name].model)):
            raise OtherPackages(name, packages)


def _left_behind(one: Built, before: Collection[str]) -> Iterator[Diagnostic]:
    """Warn of modules of the user's that a model imported as it ran, and that don't travel with it."""
    if one.model.code is None:
        return
    there = {Path(origin).resolve() for _, origin in one.model.code.origins}
    for name, file in own_modules(before).items():
        if file.resolve() not in there:
            message = f"it imported {name} ({file.name}) as it ran, which doesn't travel: nothing in its code names it"
            hint = f"write `import {name}` in {Path(one.model.where.file).name}"
            yield Diagnostic("TF413", one.model.where, message, hint, severity="warning")


def _mixing(one: Built, definition: Definition[..., Any], given: Sequence[Mapping[str, Any]]) -> Iterator[Diagnostic]:
    """Warn of rows that answer otherwise beside others, where Triton puts those of several requests together."""
    config = one.model.config
    if config.max_batch_size < 2 or (config.dynamic_batching is None and config.ensemble is None):
        return
    own = definition.signature.request_parameters
    with suppress(Exception):  # a part of a sample may be none
        if found := find_mixed(given, lambda request: _outputs(definition, request), whole=own):
            message = f"its answer hangs on which requests Triton puts together: {found}"
            hint = "compute each row by itself, or take batching=Batching(dynamic=False) for rows that belong together"
            yield Diagnostic("TF415", definition.where, message, hint, severity="warning")


def golden_files(manifest: Mapping[str, Any]) -> set[str]:
    """Name the files of golden samples that a manifest knows, by their paths in the repository."""
    return {model["golden"]["file"] for model in manifest.get("models", {}).values() if "golden" in model}


def drawn_before(manifest: Mapping[str, Any]) -> int:
    """Tell how many samples the build of a manifest made at random of each model."""
    entries = [model["golden"] for model in manifest.get("models", {}).values() if "golden" in model]
    return max((entry["samples"] for entry in entries if entry["random"]), default=0)


def _fit(examples: Sequence[Mapping[str, Any]], limit: int) -> None:
    """Refuse an example of more rows than a request may have.

    Raises:
        TooManyRows: there is one.
    """
    for number, example in enumerate(examples):
        rows = max((len(value) for value in example.values() if np.ndim(value)), default=0)
        if limit and rows > limit:
            raise TooManyRows(f"example {number} has {rows} rows, and max_batch_size is {limit}")


def _names(signature: Signature) -> list[str]:
    dims = (dim for spec in signature.inputs for dim in spec.dims)
    return sorted({dim for dim in dims if isinstance(dim, str) and dim != ANONYMOUS})


def _drawn(spec: TensorSpec, batch: tuple[int, ...], sizes: Mapping[str, int], random: np.random.Generator) -> Array:
    dims = tuple(dim if isinstance(dim, int) else sizes.get(dim, _LARGEST_DIM) for dim in spec.dims)
    return draw(spec.datatype, batch + dims, random)


def _run(definition: Definition[..., Any], inputs: Mapping[str, Any]) -> Golden:
    """Run a definition twice: what has another answer each time has no golden one."""
    given = {name: value for name, value in inputs.items() if value is not None}
    first, second = (_outputs(definition, given) for _ in range(2))
    if changing := [name for name, array in first.items() if not matches(array, second[name], _EXACT)]:
        raise NotKept(f'output "{changing[0]}" differs from call to call')
    signature = definition.signature
    return Golden(
        _sent(signature.inputs, given, batched=signature.batched),
        _sent(signature.outputs, first, batched=signature.batched),
        parameters=_parameters(definition, given),
    )


def _parameters(definition: Definition[..., Any], example: Mapping[str, Any]) -> Mapping[str, Parameter]:
    """Give the parameters of the request that an example has."""
    own = definition.signature.request_parameters
    return check_request_parameters(definition.name, own, example.get(own)) if own else {}


def _outputs(definition: Definition[..., Any], inputs: Mapping[str, Any]) -> dict[str, Array]:
    result: Any = definition(**{name: copy.copy(value) for name, value in inputs.items()})
    if inspect.isawaitable(result):
        result = asyncio.run(_awaited(result))
    return definition.returns.unpack(result, tuple(spec.name for spec in definition.signature.outputs))


async def _awaited(result: Any) -> Any:
    return await result


def _sent(specs: Iterable[TensorSpec], arrays: Mapping[str, Array], *, batched: bool) -> dict[str, Array]:
    """Shape the tensors that are there as clients have them: one value a row is `[rows, 1]`."""
    there = {spec.name: (spec, arrays[spec.name]) for spec in specs if spec.name in arrays}
    return {name: array.reshape(spec.sent_shape(array.shape, batched=batched)) for name, (spec, array) in there.items()}
