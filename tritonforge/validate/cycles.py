"""Cycles: a pipeline that calls itself, directly or by way of others."""

from __future__ import annotations

from collections.abc import Iterator

from tritonforge.errors import Diagnostic
from tritonforge.ir import Repository, Step

__all__ = ["check"]


def check(repository: Repository) -> Iterator[Diagnostic]:
    """Report each cycle once, at the call that closes it."""
    steps = {model.config.name: model.graph.steps for model in repository.models if model.graph is not None}
    done: set[str] = set()
    for name in steps:
        yield from _follow(name, (), steps, done)


def _follow(
    name: str, above: tuple[str, ...], steps: dict[str, tuple[Step, ...]], done: set[str]
) -> Iterator[Diagnostic]:
    if name in done:
        return
    for step in steps.get(name, ()):
        path = (*above, name)
        if step.model in path:
            ring = " → ".join((*path[path.index(step.model) :], step.model))
            yield Diagnostic(
                "TF208", step.where, f"a cycle: {ring}", "a pipeline can't need its own result; take one call out"
            )
        else:
            yield from _follow(step.model, path, steps, done)
    done.add(name)
