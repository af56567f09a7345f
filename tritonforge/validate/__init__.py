"""Checks of a repository's representation, before anything is written. Each gives diagnostics and raises nothing."""

from __future__ import annotations

from tritonforge.errors import Diagnostic
from tritonforge.ir import Repository
from tritonforge.validate import cycles, edges, names, usage
from tritonforge.validate.target import check_target

__all__ = ["check_target", "validate"]

CHECKS = (names.check, cycles.check, usage.check, edges.check)


def validate(repository: Repository) -> tuple[Diagnostic, ...]:
    """Run every check; the diagnostics come in the order of the files and lines they speak of."""
    found = (diagnostic for check in CHECKS for diagnostic in check(repository))
    return tuple(sorted(found, key=lambda one: (one.where.file, one.where.line, one.code)))
