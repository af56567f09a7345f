"""Everything that the checker can say, each in a case with its whole message."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .case_files import outcome, read_case

CASES = sorted((Path(__file__).parent / "cases").glob("*.txt"))
DOCUMENTED = Path(__file__).resolve().parents[3] / "docs" / "reference" / "diagnostics.md"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_case_is_told_with_its_place_and_its_mend(case: Path, tmp_path: Path) -> None:
    parts = read_case(case)
    assert outcome(parts, tmp_path) == parts["expected"]


def test_every_code_is_documented() -> None:
    codes = {code for case in CASES for code in re.findall(r"\[(TF6\d\d)\]", read_case(case)["expected"])}
    documented = set(re.findall(r"^\| (TF6\d\d) \|", DOCUMENTED.read_text(encoding="utf-8"), re.MULTILINE))
    assert codes <= documented
