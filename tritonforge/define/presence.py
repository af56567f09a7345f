"""Whether a pipeline's body asks if an optional input is there: no one graph says what such a body does."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from tritonforge.define.symbols import IN_BLS, OnlyInBls
from tritonforge.define.tracing import Traced
from tritonforge.errors import DiagnosticError, Where
from tritonforge.ir import Graph, InputRef, Reference, Signature

__all__ = ["trace_whatever_is_there"]


def trace_whatever_is_there(
    trace: Callable[[Collection[str]], Traced], name: str, signature: Signature, where: Where
) -> Traced:
    """Trace a body with all inputs, and hold it against the traces without each optional one, and without all of them.

    `trace` traces it without the inputs that are named.

    Raises:
        DiagnosticError: the body can't be traced, or makes other calls where an input isn't there.
    """
    traced = trace(())
    optional = [spec.name for spec in signature.inputs if spec.optional]
    for absent in dict.fromkeys([*((one,) for one in optional), tuple(optional)]):
        if not absent:
            continue
        wanted = _without(traced.graph, absent)
        try:
            found = trace(absent).graph
        except DiagnosticError as error:
            raise _asks(absent, name, error.diagnostics[0].where) from error
        if found != wanted:
            raise _asks(absent, name, _first_difference(wanted, found, where))
    return traced


def _without(graph: Graph, absent: Collection[str]) -> Graph:
    """Give a graph as it is where some inputs aren't there."""

    def there(_name: str, value: Reference) -> bool:
        return not (isinstance(value, InputRef) and value.name in absent)

    steps = (replace(step, inputs=tuple(pair for pair in step.inputs if there(*pair))) for step in graph.steps)
    return Graph(tuple(steps), tuple(pair for pair in graph.outputs if there(*pair)))


def _first_difference(wanted: Graph, found: Graph, where: Where) -> Where:
    for one, other in zip(wanted.steps, found.steps, strict=False):
        if one != other:
            return other.where
    rest = (*found.steps[len(wanted.steps) :], *wanted.steps[len(found.steps) :])
    return rest[0].where if rest else where


def _asks(absent: Collection[str], name: str, where: Where) -> DiagnosticError:
    inputs = " and ".join(f'"{one}"' for one in absent)
    verb = "is" if len(absent) == 1 else "are"
    return DiagnosticError(
        [
            OnlyInBls(
                "TF209",
                where.at(name),
                f"its body does something else where {inputs} {verb} left out; a pipeline only passes tensors between "
                "models",
                f"hand it to a @model that takes it or None, or {IN_BLS}",
            )
        ]
    )
