"""Agreement of dimensions along a pipeline: names stand for sizes that are known only when it runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tritonforge.ir import ANONYMOUS, Dim, InputRef, Reference, TensorSpec

__all__ = ["Dimensions"]


@dataclass(frozen=True, slots=True)
class _Name:
    """A name in a scope: the pipeline's own, or that of one step's call."""

    scope: int | None
    name: str


@dataclass
class Dimensions:
    """What is known of the named dimensions of one pipeline.

    A model's names are its own: each call binds them anew, to what feeds its inputs. The names of the pipeline's inputs
    are promises to its callers: two of them never become one, and none becomes a fixed size. Other names are bound to
    what they meet, and two that met must not meet different sizes later.
    """

    inputs: Iterable[TensorSpec]
    _promised: frozenset[str] = field(init=False)
    _bound: dict[_Name, _Name | int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._promised = frozenset(dim for spec in self.inputs for dim in spec.dims if isinstance(dim, str))

    def connect(
        self, given: TensorSpec, wanted: TensorSpec, *, reference: Reference, consumer: int | None
    ) -> str | None:
        """Hold the dimensions of a tensor against those of its consumer (a step, or the pipeline's output: None).

        Gives nothing where they agree, else what to add to the message: empty where the two shapes say it themselves.
        """
        if len(given.dims) != len(wanted.dims):
            return ""
        producer = None if isinstance(reference, InputRef) else reference.step
        faults = [
            ("" if here != there else None)
            if isinstance(here, int) and isinstance(there, int)
            else self._unify(self._resolve(producer, here), self._resolve(consumer, there))
            for here, there in zip(given.dims, wanted.dims, strict=True)
            if ANONYMOUS not in (here, there)
        ]
        return next((fault for fault in faults if fault is not None), None)

    def _resolve(self, scope: int | None, dim: Dim) -> _Name | int:
        """Follow a dimension to what it is bound to."""
        found: _Name | int = dim if isinstance(dim, int) else _Name(scope, dim)
        while isinstance(found, _Name) and found in self._bound:
            found = self._bound[found]
        return found

    def _unify(self, given: _Name | int, wanted: _Name | int) -> str | None:
        if given == wanted:
            return None
        if isinstance(given, int) and isinstance(wanted, int):
            return f" ({given} where {wanted} is needed)"
        if isinstance(wanted, _Name) and not self._is_promised(wanted):
            self._bound[wanted] = given
            return None
        if isinstance(given, _Name) and not self._is_promised(given):
            self._bound[given] = wanted
            return None
        names = [f'"{dim.name}"' if isinstance(dim, _Name) else str(dim) for dim in (given, wanted)]
        return f" ({names[0]} may differ from {names[1]})"

    def _is_promised(self, name: _Name) -> bool:
        return name.scope is None and name.name in self._promised
