"""The checker and the real server on the same generated configurations, and where they part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from config_generator import BACKENDS, MEMBERS, generate
from triton_words import blamed_fields, blamed_line, without_places

from tritonforge.check import Finding, check_repository
from tritonforge.server import ServerDied
from tritonforge.server.oracle import Verdict, ask_server

__all__ = ["Agreement", "compare"]

_FILES = {"TF647", "TF654", "TF681", "TF685", "TF686"}
"""Codes of what the do-nothing backend doesn't look for: the model's own files."""


@dataclass
class Agreement:
    """Counts over many configurations; `partings` tells each disagreement."""

    accepted: int = 0
    accepted_by_both: int = 0
    refused: int = 0
    refused_by_both: int = 0
    same_field: int = 0
    deadly: int = 0
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
            f"{_share(self.same_field, self.refused_by_both)}; {self.deadly} more end Triton, and are refused"
        )


def compare(folder: Path, seeds: Sequence[int]) -> Agreement:
    """Write the configurations of some seeds below a folder, and have both judge them.

    Where they end the server, halves of them are asked, until the culprit is alone.
    """
    texts = {f"g{seed}": generate(seed) for seed in seeds}
    repository = folder / f"{seeds[0]}-{seeds[-1]}"
    for name, text in (MEMBERS | texts).items():
        (repository / name / "1").mkdir(parents=True)
        (repository / name / "config.pbtxt").write_text(text, encoding="utf-8")
    report = check_repository(repository, cores=64)
    errors: dict[str, list[Finding]] = {name: [] for name in texts}
    for finding in report.errors:
        if finding.code not in _FILES and finding.model in errors:
            errors[finding.model].append(finding)
    try:
        verdicts = ask_server(repository, {*BACKENDS, *report.backends})
    except ServerDied:
        if len(seeds) == 1:
            found = errors[f"g{seeds[0]}"]
            died = f"g{seeds[0]}: Triton ends, and the check accepts:\n{texts[f'g{seeds[0]}']}"
            return Agreement(deadly=1, partings=[] if found else [died])
        agreement = compare(folder, seeds[: len(seeds) // 2])
        agreement.add(compare(folder, seeds[len(seeds) // 2 :]))
        return agreement
    agreement = Agreement()
    for name, found in errors.items():
        _judge(agreement, verdicts[name], found, texts[name])
    return agreement


def _judge(agreement: Agreement, verdict: Verdict, found: list[Finding], text: str) -> None:
    if verdict.accepted:
        agreement.accepted += 1
        agreement.accepted_by_both += not found
    else:
        agreement.refused += 1
        agreement.refused_by_both += bool(found)
        _blame(agreement, verdict, found, text)
    if verdict.accepted == bool(found):
        said = verdict.words or "accepted"
        agreement.partings.append(f"{verdict.model}: Triton: {said}\n  check: {_told(found)}\n{text}")


def _blame(agreement: Agreement, verdict: Verdict, found: list[Finding], text: str) -> None:
    if not found:
        return
    words = verdict.words
    fields, line = blamed_fields(words), min(blamed_line(words), len(text.splitlines()))
    if any(_is_blamed(finding, words, fields, line) for finding in found):
        agreement.same_field += 1
    else:
        agreement.partings.append(f"{verdict.model}: other field: Triton: {words}\n  check: {_told(found)}")


def _is_blamed(finding: Finding, words: str, fields: Sequence[str], line: int) -> bool:
    """Say whether Triton's words are about the field. Of an unknown value it names the field, but a later line."""
    if fields:
        return without_places(finding.field) in fields
    return finding.line == line or f'field "{finding.field.rpartition(".")[2]}"' in words


def _told(found: list[Finding]) -> str:
    return "; ".join(f"{finding.code} {finding.field}: {finding.message}" for finding in found) or "accepted"


def _share(part: int, whole: int) -> str:
    return f"{part} ({100 * part / whole:.2f} %)" if whole else "none"
