"""What is said of packages that models ask for by `requirements=`, and that this Python lacks."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tritonforge.cli.served_repository import warn_of_requirements
from tritonforge.errors import Diagnostic
from tritonforge.server.installed.packages import check_requirements

NUMPY = version("numpy")


def check(folder: Path, *requirements: str, **entry: object) -> list[Diagnostic]:
    signature = {"batched": True, "inputs": [], "outputs": []}
    built = {"version": 1, "kind": "python", "signature": signature, "requirements": list(requirements)} | entry
    (folder / "tritonforge.json").write_text(json.dumps({"schema": 1, "models": {"scale": built}}))
    return check_requirements(folder)


@pytest.mark.parametrize(
    "met",
    ["numpy", "NumPy>=1.26,<2", f"numpy=={NUMPY}", "nosuch; python_version < '3'", "numpy>=1.0rc1", "-r other.txt"],
)
def test_what_is_there_or_isnt_asked_here_gives_no_warning(tmp_path: Path, met: str) -> None:
    assert check(tmp_path, met) == []


def test_a_repository_that_asks_for_nothing_gives_no_warning(tmp_path: Path) -> None:
    assert check_requirements(tmp_path) == []
    assert check(tmp_path) == []


def test_what_is_missing_and_what_has_another_version_is_named_with_its_installation(tmp_path: Path) -> None:
    (found,) = check(tmp_path, "numpy==0.1", "no-such-package[fast]>=2", "ml_dtypes")
    assert (found.code, found.severity, found.where.subject) == ("TF517", "warning", "scale")
    assert found.message == (
        "this Python lacks what it requires: "
        f"numpy==0.1 ({NUMPY} is installed); no-such-package[fast]>=2 (not installed)"
    )
    assert found.hint.startswith(f'{sys.executable} -m pip install "numpy==0.1" "no-such-package[fast]>=2"; or')


def test_packages_of_an_environment_of_its_own_arent_looked_for_here(tmp_path: Path) -> None:
    assert check(tmp_path, "numpy==0.1", environment={"python": "3.11"}) == []


def test_a_manifest_that_is_none_is_told_later(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(tmp_path, "numpy==0.1")
    warn_of_requirements(tmp_path)
    assert capsys.readouterr().err.count("[TF517]") == 1
    (tmp_path / "tritonforge.json").write_text("{")
    warn_of_requirements(tmp_path)
    assert capsys.readouterr().err == ""
