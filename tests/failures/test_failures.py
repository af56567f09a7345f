"""Every mistake that a build can find, each in a folder of its own, with the whole message that it gets."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tritonforge.build import build
from tritonforge.errors import DiagnosticError

CASES = sorted(path.parent for path in Path(__file__).parent.glob("*/expected.txt"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_mistake_is_told_with_its_place_and_its_mend(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The build refuses the case with exactly the expected text, and leaves no file behind."""
    shutil.copytree(case, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    sources = [path for path in sorted(tmp_path.glob("*.py")) if path.name in ("serving.py", "queue.py")]
    with pytest.raises(DiagnosticError) as raised:
        build([path.relative_to(tmp_path) for path in sources], Path("model_repository"))
    assert str(raised.value) + "\n" == _expected(case).read_text()
    assert sorted(tmp_path.rglob("*")) == before


def _expected(case: Path) -> Path:
    """Find the expected text; CPython 3.10 says another line of a statement with a decorator than later ones."""
    older = case / "expected-3.10.txt"
    return older if sys.version_info < (3, 11) and older.exists() else case / "expected.txt"
