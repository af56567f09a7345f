"""The release that is built for: fields that it can't parse make Triton refuse the whole model."""

from __future__ import annotations

from collections.abc import Iterator

from tritonforge import pbtxt
from tritonforge.errors import Diagnostic
from tritonforge.ir import Repository
from tritonforge.pbtxt.releases import first_releases

__all__ = ["check_target"]


def check_target(repository: Repository, target: str) -> Iterator[Diagnostic]:
    """Refuse fields that a release of Triton, `YY.MM`, doesn't know yet. Releases sort as text."""
    for model in repository.models:
        for path, since in first_releases(pbtxt.to_message(model.config)):
            if since > target:
                yield Diagnostic(
                    "TF405",
                    model.where,
                    f"{path} is known to Triton since {since}, and the target is {target}",
                    f"leave it out, or build for --target {since} or later, and serve there",
                )
