"""Names: of models across the repository, and of tensors within a model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from tritonforge.errors import Diagnostic, Where
from tritonforge.ir import Model, Repository, TensorSpec

__all__ = ["check"]

ALLOWED = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
"""A model's name is a folder and a part of URLs, which Triton's HTTP server doesn't decode (seen in 24.10)."""

LONGEST = 200
"""Of a name's characters: Linux takes 255 for a file's, and golden samples' files have an ending more."""

_STATISTICS = "stats"


def check(repository: Repository) -> Iterator[Diagnostic]:
    """Refuse names that two models share, and names that Triton can't serve."""
    first: dict[str, Where] = {}
    for model in sorted(repository.models, key=lambda one: (one.where.file, one.where.line)):
        name = model.config.name
        if name in first:
            earlier = first[name]
            yield Diagnostic(
                "TF106",
                model.where,
                f'a model named "{name}" is already defined at {Where(earlier.file, earlier.line)}',
                'rename one of them, or give it name="…"',
            )
        elif len(name) > LONGEST:
            yield Diagnostic(
                "TF107",
                model.where.at(f"{name[:20]}…"),
                f"its name has {len(name)} characters, and is a folder's",
                f"take at most {LONGEST}",
            )
        elif name and not ALLOWED.fullmatch(name):
            yield Diagnostic(
                "TF107",
                model.where,
                f'Triton can\'t serve a model named "{name}"',
                "use letters of ASCII, digits, _ . and -, the first one no - or .",
            )
        elif name == _STATISTICS:
            yield Diagnostic(
                "TF107",
                model.where,
                f"over HTTP Triton answers /v2/models/{name}, for its metadata, with the statistics of all models",
                "rename it: clients that ask for metadata find none",
                severity="warning",
            )
        first.setdefault(name, model.where)
        yield from _tensors(model)


def _tensors(model: Model) -> Iterator[Diagnostic]:
    for kind, specs in (("input", model.signature.inputs), ("output", model.signature.outputs)):
        counted = Counter(spec.name for spec in specs)
        for spec in dict.fromkeys(specs):
            subject = model.where.at(f'{model.config.name}, {kind} "{spec.name}"')
            if counted[spec.name] > 1:
                yield Diagnostic("TF109", subject, f"{counted[spec.name]} {kind}s have this name", "give each its own")
            elif not _printable(spec):
                yield Diagnostic(
                    "TF107", subject, "a tensor's name can't be empty or have control characters", "rename it"
                )


def _printable(spec: TensorSpec) -> bool:
    return bool(spec.name) and spec.name.isprintable()
