"""The checker and the real server on the same generated configurations, and where they part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from config_generator import BACKENDS, MEMBERS, generate
from triton_words import blamed_fields, blamed_line, without_places

from tritonforge.check import Finding, check_repository
from tritonforge.server.oracle import ask_server

__all__ = ["Agreement", "compare"]

_FILES = {"TF681", "TF685", "TF686"}
"""Codes of what the do-nothing backend doesn't look for: the model's own files."""


@dataclass
class Agreement:
    """Counts over many configurations; `partings` tells each disagreement."""

    accepted: int = 0
    accepted_by_both: int = 0
    refused: int = 0
    refused_by_both: int = 0
    same_field: int = 0
    partings: list[str] = field(default_factory=list)

    def add(self, other: Agreement) -> None:
        """Add the counts of another batch."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def __str__(self) -> str:
        return (
            f"of {self.accepted} that Triton accepts, {_share(self.accepted_by_both, self.accepted)} are accepted; "
            f"of {self.refused} that it refuses, {_share(self.refused_by_both, self.refused)} are refused; "
            f"of {self.refused_by_both} refused by both, the field that Triton blames is blamed in "
            f"{_share(self.same_field, self.refused_by_both)}"
        )


def compare(folder: Path, seeds: Sequence[int]) -> Agreement:
    """Write the configurations of some seeds into an empty folder, and have both judge them."""
    texts = {f"g{seed}": generate(seed) for seed in seeds}
    for name, text in (MEMBERS | texts).items():
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "config.pbtxt").write_text(text, encoding="utf-8")
    report = check_repository(folder, cores=64)
    verdicts = ask_server(folder, {*BACKENDS, *report.backends})
    errors: dict[str, list[Finding]] = {name: [] for name in texts}
    for finding in report.errors:
        if finding.code not in _FILES and finding.model in errors:
            errors[finding.model].append(finding)
    agreement = Agreement()
    for name, found in errors.items():
        verdict = verdicts[name]
        if verdict.accepted:
            agreement.accepted += 1
            agreement.accepted_by_both += not found
        else:
            agreement.refused += 1
            agreement.refused_by_both += bool(found)
            _blame(agreement, name, verdict.words, found, texts[name])
        if verdict.accepted == bool(found):
            said = verdict.words or "accepted"
            agreement.partings.append(f"{name}: Triton: {said}\n  check: {_told(found)}\n{texts[name]}")
    return agreement


def _blame(agreement: Agreement, name: str, words: str, found: list[Finding], text: str) -> None:
    if not found:
        return
    fields, line = blamed_fields(words), min(blamed_line(words), len(text.splitlines()))
    if any(without_places(each.field) in fields or (each.line == line and not fields) for each in found):
        agreement.same_field += 1
    elif any(f'field "{each.field.rpartition(".")[2]}"' in words for each in found):  # the line is that of what follows
        agreement.same_field += 1
    else:
        agreement.partings.append(f"{name}: other field: Triton: {words}\n  check: {_told(found)}")


def _told(found: list[Finding]) -> str:
    return "; ".join(f"{finding.code} {finding.field}: {finding.message}" for finding in found) or "accepted"


def _share(part: int, whole: int) -> str:
    return f"{part} ({100 * part / whole:.2f} %)" if whole else "none"
