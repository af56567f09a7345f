"""scripts/with_docker.py: what it installs before it starts a daemon."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "with_docker.py"


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("with_docker", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(sys.platform != "linux", reason="Debian's packages")
@pytest.mark.parametrize(
    ("there", "installed"),
    [
        ({"dockerd"}, ["iptables"]),
        ({"iptables"}, ["docker.io"]),
        (set(), ["docker.io", "iptables"]),
        ({"dockerd", "iptables"}, []),
    ],
)
def test_each_program_that_is_missing_is_installed(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, there: set[str], installed: list[str]
) -> None:
    """A daemon that is there doesn't say that iptables is, too."""
    commands: list[list[str]] = []
    monkeypatch.setattr(shutil, "which", lambda name: name if name in {*there, "apt-get"} else None)
    monkeypatch.setattr(script.os, "geteuid", lambda: 0)
    monkeypatch.setattr(script, "run", lambda command, *_: commands.append(command))
    monkeypatch.setattr(script, "alone", lambda: pytest.fail("no daemon is to be started"))
    with pytest.raises(pytest.fail.Exception), script.daemon():
        pass
    assert [command[-1] for command in commands if command[1] == "install"] == installed


def test_what_needs_docker_is_where_it_is_run() -> None:
    """.ci/run names the files, as to collect all others takes a while, in each worker."""
    tests = Path(__file__).parents[1]
    marked = {path for path in tests.rglob("test_*.py") if "pytest.mark.docker" in path.read_text(encoding="utf-8")}
    run = set(tests.glob("integration/test_container*.py"))
    assert "tests/integration/test_container*.py" in (tests.parent / ".ci" / "run").read_text()
    assert marked - {Path(__file__)} == run
