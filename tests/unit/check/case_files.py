"""Cases of the checker: a small repository and all that is said of it, in one text file each.

`=== path` begins a file of the repository; `=== expected` what the check says with 8 cores, by a `=== target` release.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tritonforge.check import check_repository

__all__ = ["outcome", "read_case", "write_case"]

CORES = 8
_EXPECTED, _TARGET = "expected", "target"


def read_case(case: Path) -> dict[str, str]:
    """Read the parts of a case by their titles."""
    parts: dict[str, str] = {}
    title = ""
    for line in case.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.startswith("=== "):
            title = line[4:].strip()
            parts[title] = ""
        else:
            parts[title] += line
    return parts


def outcome(parts: dict[str, str], folder: Path) -> str:
    """Write a case's repository into a folder, check it, and give the whole text of what is said."""
    for path, content in parts.items():
        if path not in (_EXPECTED, _TARGET):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content, encoding="utf-8")
    report = check_repository(folder, target=parts[_TARGET].strip(), cores=CORES)
    text = "".join(f"{finding.diagnostic(str(folder))}\n" for finding in report.findings)
    return text.replace(f"{folder}/", "").replace(str(folder), "REPOSITORY")


def write_case(case: Path, files: dict[str, str], *, target: str) -> None:
    """Write a case with what is said now: to be read before it is kept."""
    parts = {_TARGET: f"{target}\n", **files}
    with tempfile.TemporaryDirectory() as folder:
        parts[_EXPECTED] = outcome(parts, Path(folder))
    case.write_text("".join(f"=== {title}\n{content}" for title, content in parts.items()), encoding="utf-8")
