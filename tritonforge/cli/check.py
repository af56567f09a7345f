"""`tritonforge check`: what Triton would refuse in a model repository, before it is started."""

from __future__ import annotations

import json
import re
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tritonforge.check import Finding
    from tritonforge.server.verify import Comparison

__all__ = ["RELEASE", "check"]

RELEASE = re.compile(r"2\d\.(0[1-9]|1[0-2])")
"""How a release of Triton is written."""


class Format(str, Enum):
    """How findings are written."""

    text = "text"
    json = "json"
    github = "github"


def check(
    repository: Annotated[
        Path | None,
        typer.Argument(
            metavar="[REPO]", help="A model repository, of tritonforge's or not [default: pyproject.toml's]."
        ),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="The Triton release that it is for [default: pyproject.toml's, or 24.10].")
    ] = None,
    output: Annotated[
        Format, typer.Option("--format", help="text, json (a list), or github (annotations of a workflow).")
    ] = Format.text,
    verify: Annotated[bool, typer.Option("--verify", help="Ask the real server too, and show its words.")] = False,
) -> None:
    """Check a model repository; exit 1 if Triton would refuse some of it."""
    from tritonforge.build import load_project
    from tritonforge.check import check_repository

    repository = _choose(repository)
    target = target or load_project().target
    if not RELEASE.fullmatch(target):
        raise typer.BadParameter(f"{target} is no release; releases are YY.MM, such as 24.10", param_hint="--target")
    report = check_repository(repository, target=target)
    findings, comparison = list(report.findings), None
    if verify:
        from tritonforge.server.verify import verify as ask

        comparison = ask(repository, report)
        findings += [*comparison.explained, *comparison.disagreements]
    if output is Format.json:
        typer.echo(json.dumps([_as_dict(finding, comparison) for finding in findings], indent=2, ensure_ascii=False))
    elif output is Format.github:
        for finding in findings:
            typer.echo(_annotation(finding, repository))
    else:
        _show(findings, repository, len(report.models), comparison)
    raise typer.Exit(1 if any(finding.severity == "error" for finding in findings) else 0)


def _choose(repository: Path | None) -> Path:
    """Give the folder that was named, or the one that the project is built into."""
    from tritonforge.build import load_project
    from tritonforge.cli.build import shorten

    folder = repository or shorten(load_project().repository)
    if folder.is_dir():
        return folder
    if repository is None:
        reason = f"name a model repository; there is no {folder} here, and pyproject.toml names no other"
        raise typer.BadParameter(f"{reason} with output = in [tool.tritonforge]", param_hint="REPO")
    raise typer.BadParameter(f"{folder} is no folder", param_hint="REPO")


def _as_dict(finding: Finding, comparison: Comparison | None) -> dict[str, Any]:
    asked = {"triton": comparison.words(finding.model)} if comparison else {}
    return finding.as_dict() | asked


def _show(findings: list[Finding], repository: Path, models: int, comparison: Comparison | None) -> None:
    told: set[str] = set()
    folder = str(repository.absolute())
    for finding in findings:
        typer.echo(str(finding.diagnostic(folder)))
        verdict = comparison.verdicts.get(finding.model) if comparison else None
        if verdict and not verdict.accepted and finding.code not in ("TF696", "TF697") and finding.model not in told:
            typer.echo(f"  triton: {verdict.words}")
            told.add(finding.model)
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = len(findings) - errors
    text = f"{_count(models, 'model')}, {_count(errors, 'error')}, {_count(warnings, 'warning')}"
    if comparison:
        accepted = sum(verdict.accepted for verdict in comparison.verdicts.values())
        text += f"; Triton accepts {accepted} of {len(comparison.verdicts)}"
        wrong = sum(finding.severity == "error" for finding in comparison.disagreements)  # the others it foresaw
        text += f", {_count(wrong, 'disagreement')}"
    typer.echo(text)


def _annotation(finding: Finding, repository: Path) -> str:
    """Write a finding as a command of GitHub's workflows."""
    file = f"{repository.as_posix()}/{finding.path}".rstrip("/")
    place = f"file={_escape_property(file)}" + (f",line={finding.line}" if finding.line else "")
    subject = ", ".join(part for part in (finding.model, finding.field) if part)
    text = ": ".join(part for part in (subject, finding.message) if part)
    text += f"\nhint: {finding.hint}" if finding.hint else ""
    return f"::{finding.severity} {place},title={finding.code}::{_escape(text)}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s'[: number != 1]}"
