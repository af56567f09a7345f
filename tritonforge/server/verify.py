"""The checker's word beside the real server's, model by model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tritonforge.check import Finding, Report
from tritonforge.server.errors import ServerDied
from tritonforge.server.oracle import Verdict, ask_server

__all__ = ["Comparison", "verify"]

_FILES = {"TF647", "TF654", "TF681", "TF682", "TF684", "TF685", "TF686", "TF688"}
"""Codes of what the server isn't asked about, as no model is run: what lies in files, in backends, or in requests."""

_DEADLY = {"TF644", "TF653", "TF676", "TF682"}
"""Codes of what Triton 24.10 may die of: initial states, tags, ensembles in a circle, versions of over 64 bits."""

_FATAL = "TF687"
"""What it always dies of, a folder in the place of config.pbtxt; it isn't asked about such models."""

_MACHINE = ("no GPUs are available", "invalid or unsupported gpu id", "specifies no GPUs")
_REPORT = "the checker and Triton disagree; please report this, with the config.pbtxt"


@dataclass(frozen=True)
class Comparison:
    """Triton's verdicts on all models, and where the checker doesn't agree: `disagreements`, as findings.

    `explained` are refusals that say nothing of the configuration, each with its reason.
    """

    verdicts: Mapping[str, Verdict]
    disagreements: tuple[Finding, ...]
    explained: tuple[Finding, ...] = ()

    def words(self, model: str) -> str | None:
        """Give Triton's words on a model: "accepted", why not, or None where it wasn't asked."""
        verdict = self.verdicts.get(model)
        if verdict is None:
            return None
        return "accepted" if verdict.accepted else verdict.words


def verify(repository: Path, report: Report) -> Comparison:
    """Ask the real server about a checked repository.

    Raises:
        PreflightError: what this machine lacks for the server.
        ServerTimeout: the server didn't come to an end.
    """
    fatal = {finding.model for finding in report.errors if finding.code == _FATAL}
    try:
        return _compare(report, ask_server(repository, report.backends, without=fatal))
    except ServerDied as died:
        deadly = {finding.model for finding in report.errors if finding.code in _DEADLY}
        message = f"Triton itself ends on this repository: {died}"
        hint = "mend the errors above first" if deadly else _REPORT
        finding = Finding("", "", 0, "", "TF697", "warning" if deadly else "error", message, hint)
    if deadly:
        try:
            rest = _compare(report, ask_server(repository, report.backends, without=fatal | deadly))
        except ServerDied:
            return Comparison({}, (finding,))
        return replace(rest, disagreements=(finding, *rest.disagreements))
    return Comparison({}, (finding,))


def _compare(report: Report, verdicts: Mapping[str, Verdict]) -> Comparison:
    errors: dict[str, list[Finding]] = {name: [] for name in report.models}
    for finding in report.errors:
        errors.setdefault(finding.model, []).append(finding)
    unasked = _unasked(report, errors)
    explained = tuple(_explained(report, verdicts, errors, unasked))
    return Comparison(verdicts, tuple(_disagreements(report, verdicts, errors, unasked)), explained)


def _explained(
    report: Report, verdicts: Mapping[str, Verdict], errors: Mapping[str, list[Finding]], unasked: Collection[str]
) -> Iterator[Finding]:
    for model in report.models:
        verdict = verdicts.get(model)
        if verdict is None or verdict.accepted or errors[model]:
            continue
        if any(words in verdict.words for words in _MACHINE):
            why = "this machine lacks what it asks for"
        elif model in unasked:
            why = "files or backends complete or decide it, and none were looked at"
        else:
            continue
        message = f"Triton refuses it here, which doesn't count: {verdict.words}"
        yield Finding(model, f"{model}/config.pbtxt", 0, "", "TF696", "warning", message, why)


def _disagreements(
    report: Report, verdicts: Mapping[str, Verdict], errors: Mapping[str, list[Finding]], unasked: Collection[str]
) -> Iterator[Finding]:
    for model in report.models:
        verdict = verdicts.get(model)
        if verdict is None or model in unasked or any(words in verdict.words for words in _MACHINE):
            continue
        path = f"{model}/config.pbtxt"
        if not verdict.accepted and not errors[model]:
            yield Finding(model, path, 0, "", "TF697", "error", f"Triton refuses it: {verdict.words}", _REPORT)
        elif verdict.accepted and errors[model]:
            codes = ", ".join(sorted({finding.code for finding in errors[model]}))
            yield Finding(model, path, 0, "", "TF698", "warning", f"Triton accepts it, in spite of {codes}", _REPORT)


def _unasked(report: Report, errors: Mapping[str, list[Finding]]) -> set[str]:
    """Name the models on which the server's word says nothing: files decide, and the ensembles made of such models."""
    unasked = {
        name
        for name in report.models
        if any(finding.code in _FILES for finding in errors[name]) or (name in report.completed and not errors[name])
    }
    while more := {name for name, members in report.ensembles.items() if unasked & set(members)} - unasked:
        unasked |= more
    return unasked
