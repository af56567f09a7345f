"""The tensors between an ensemble's steps: names, data types, shapes, batch sizes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tritonforge.check.finding import Found, error, warning
from tritonforge.check.model import Model
from tritonforge.check.rules.tensors import tensors
from tritonforge.define.near_names import match_names
from tritonforge.pbtxt.document import enum_name

__all__ = ["check_edges"]

_STEPS = "ensemble_scheduling.step"


@dataclass(frozen=True, slots=True)
class _Tensor:
    """What a tensor is to one of those that have it: the model, and there its type and dimensions."""

    model: str
    datatype: str
    dims: tuple[int, ...]
    batched: bool

    @property
    def whole(self) -> tuple[int, ...]:
        """The dimensions with that of the batch."""
        return (-1, *self.dims) if self.batched else self.dims

    def fits(self, other: _Tensor) -> bool:
        """Tell whether shapes can be equal: beside the batch, or with it where one of the models has none."""
        return _equal(self.dims, other.dims) or _equal(self.whole, other.whole)

    def __str__(self) -> str:
        batch = ["batch"] if self.batched else []
        return f"{self.datatype.removeprefix('TYPE_')}[{', '.join([*batch, *map(str, self.dims)])}]"


def check_edges(ensemble: Model, members: Sequence[Model | None], *, wrong: Collection[str]) -> Iterator[Found]:
    """Check the steps in their order, each against what came before.

    `members` are the steps' models, None for one that can't be looked into. What hangs on the ensemble's fields in
    `wrong` is left out.
    """
    config = ensemble.config
    sized = "max_batch_size" not in wrong
    optional = {tensor.name for tensor in config.input if tensor.optional}
    known = dict(_declared(ensemble, wrong)) if sized else {}
    doubtful = set(_doubtful(config, wrong))
    for number, (step, member) in enumerate(zip(config.ensemble_scheduling.step, members, strict=True)):
        if member is None:
            continue
        path, limit = f"{_STEPS}[{number}]", member.config.max_batch_size
        if sized and 0 < limit < config.max_batch_size:
            message = f"max_batch_size is {config.max_batch_size}, but {member.name} takes batches up to {limit} only"
            yield error("TF675", "max_batch_size", message, f"{limit} or less, or raise that of {member.name}")
        if not member.config.input and not member.config.output:  # its backend completes it
            continue
        unfed = [one.name for one in member.config.input if one.name not in step.input_map and not one.optional]
        meant = match_names(_strange(step.input_map, member.config.input), unfed)
        yield from _check_side(path, "input", step.input_map, member, known, doubtful, meant)
        if f"{path}.input_map" not in wrong:
            yield from _check_fed(path, member, [name for name in unfed if name not in meant.values()])
        unused = [one.name for one in member.config.output if one.name not in step.output_map]
        meant = match_names(_strange(step.output_map, member.config.output), unused)
        yield from _check_side(path, "output", step.output_map, member, known, doubtful, meant)
        yield from _check_optional(path, step, member, optional)


def _declared(ensemble: Model, wrong: Collection[str]) -> Iterator[tuple[str, _Tensor]]:
    """Give the ensemble's own tensors, but those whose type or shape is wrong; of two of a name the first."""
    seen: set[str] = set()
    for _, path, tensor in tensors(ensemble.config):
        if any(field.startswith(f"{path}.{part}") for field in wrong for part in ("data_type", "dims", "reshape")):
            continue
        if tensor.name not in seen:
            seen.add(tensor.name)
            dims = tensor.reshape.shape if tensor.HasField("reshape") else tensor.dims
            yield tensor.name, _tensor(ensemble, tensor, dims)


def _doubtful(config: Any, wrong: Collection[str]) -> Iterator[str]:
    """Give the tensors of which it isn't said which step they come from: they may be meant to be others."""
    for number, step in enumerate(config.ensemble_scheduling.step):
        for kind in ("input_map", "output_map"):
            for key, name in getattr(step, kind).items():
                if f'{_STEPS}[{number}].{kind}["{key}"]' in wrong:
                    yield name


def _strange(mapping: Any, tensors: Any) -> list[str]:
    """Give the names in a step's map that its model hasn't."""
    there = {tensor.name for tensor in tensors}
    return sorted(key for key in mapping if key not in there)


def _check_fed(path: str, member: Model, unfed: Sequence[str]) -> Iterator[Found]:
    for name in unfed:
        message = f'the input "{name}" of {member.name} is fed by no tensor'
        yield error("TF672", f"{path}.input_map", message, f'input_map {{ key: "{name}" value: "…" }}')


def _check_side(
    path: str,
    kind: str,
    mapping: Any,
    member: Model,
    known: dict[str, _Tensor],
    doubtful: Collection[str],
    meant: Mapping[str, str],
) -> Iterator[Found]:
    there = {tensor.name: tensor for tensor in getattr(member.config, kind)}
    for key, name in sorted(mapping.items()):
        field = f'{path}.{kind}_map["{key}"]'
        tensor = there.get(key)
        if tensor is None:
            hint = f'did you mean "{meant[key]}"?' if key in meant else f"its {kind}s are {', '.join(sorted(there))}"
            yield error("TF671", field, f'{member.name} has no {kind} "{key}"', hint)
            continue
        if name in doubtful:
            continue
        here = _tensor(member, tensor, tensor.dims)
        before = known.setdefault(name, here)
        verb = "takes" if kind == "input" else "gives"
        both = f'"{name}" is {before} in {before.model}, and {member.name} {verb} {here}'
        if before.datatype != here.datatype:
            yield error("TF673", field, f"data types disagree: {both}", "convert in a model between them")
        elif not before.fits(here):
            yield error("TF674", field, f"shapes disagree: {both}", "dims must be equal, or -1 on one side")
        elif before.batched and not here.batched and not _equal(before.whole, here.whole):
            message = f"only requests of one row work: {both}, without a batch"
            yield warning(
                "TF699", field, message, f"raise max_batch_size of {member.name}, or dims: {[-1, *here.dims]}"
            )


def _check_optional(path: str, step: Any, member: Model, optional: Collection[str]) -> Iterator[Found]:
    required = {tensor.name for tensor in member.config.input if not tensor.optional}
    for key, name in sorted(step.input_map.items()):
        if name in optional and key in required:
            message = f'"{name}" is optional here, but {member.name} needs its "{key}": a request without it fails'
            yield warning("TF679", f'{path}.input_map["{key}"]', message, "make both optional, or none")


def _tensor(model: Model, tensor: Any, dims: Sequence[int]) -> _Tensor:
    return _Tensor(model.name, enum_name(tensor, "data_type"), tuple(dims), model.batched)


def _equal(left: Sequence[int], right: Sequence[int]) -> bool:
    return len(left) == len(right) and all(-1 in pair or len(set(pair)) == 1 for pair in zip(left, right, strict=True))
