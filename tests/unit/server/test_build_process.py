"""Builds in a process of their own: what they answer, where they are when they take long, and how they are ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tritonforge.server.watching.build_process import BuildProcess, Outcome

_Found = TypeVar("_Found")

DEADLINE_S = 60.0
DEFINITIONS = """import numpy as np
from jaxtyping import Float32
from tritonforge import model

@model
def {}(x: Float32[np.ndarray, "batch 1"]) -> Float32[np.ndarray, "batch 1"]:
    return x
"""
HELD = "sum(1 for _ in iter(int, 1))"
"""For ever in C, where no signal is heeded."""
SPINNING = """import os, subprocess
from pathlib import Path
from tritonforge import model

child = subprocess.Popen(["sleep", "999"], start_new_session=True)
Path("children.new").write_text(f"{{child.pid}} {{os.getpid()}}")
Path("children.new").rename("children")
{}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with definitions in `serving`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving" / "first.py").write_text(DEFINITIONS.format("first"))
    return tmp_path


@pytest.fixture
def builds(folder: Path) -> Iterator[BuildProcess]:
    output, log = folder / "model_repository", folder / "build.log"
    with BuildProcess([folder / "serving"], output, target="24.10", log=log, slow_s=0.01) as process:
        yield process


def until(ask: Callable[[], _Found | None]) -> _Found:
    """Ask until there is an answer."""
    deadline = time.monotonic() + DEADLINE_S
    while not (answer := ask()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return answer


def outcome(builds: BuildProcess) -> Outcome:
    builds.start()
    return until(lambda: builds.poll(0.1))


def test_one_process_makes_build_after_build(folder: Path, builds: BuildProcess) -> None:
    """Models that are gone are taken away, and a failure is told as the command tells it."""
    second = folder / "serving" / "second.py"
    second.write_text(f"print('imported')\n{DEFINITIONS.format('second')}")
    assert outcome(builds) == Outcome()
    assert sorted(path.name for path in (folder / "model_repository").iterdir()) == [
        "first",
        "second",
        "tritonforge.json",
    ]
    second.unlink()
    assert outcome(builds) == Outcome()
    assert not (folder / "model_repository" / "second").exists()
    second.write_text("from tritonforge import model\n1 / 0\n")
    failure = outcome(builds).failure
    assert failure.startswith("serving/second.py:2: it can't be imported: ZeroDivisionError: division by zero")
    assert builds.log.read_text() == "imported\n"


@pytest.mark.parametrize("endless", ["while True: pass", HELD])
def test_an_import_that_never_ends_is_told_and_given_up(endless: str, folder: Path, builds: BuildProcess) -> None:
    """Nothing of it is left, and the next build is made."""
    spinning = folder / "serving" / "spinning.py"
    spinning.write_text(SPINNING.format(endless))
    builds.start()
    assert until(builds.doing)
    until((folder / "children").exists)
    children = list(map(int, (folder / "children").read_text().split()))
    assert builds.poll(0.1) is None
    builds.give_up()
    assert [child for child in children if Path(f"/proc/{child}").exists()] == []
    spinning.unlink()
    assert outcome(builds) == Outcome()


def test_where_it_is_is_told(folder: Path) -> None:
    """By the file and line of the user's that come first."""
    spinning = folder / "serving" / "spinning.py"
    spinning.write_text(SPINNING.format(HELD))
    output, log = folder / "model_repository", folder / "build.log"
    with BuildProcess([spinning], output, target="24.10", log=log, slow_s=3.0) as builds:
        builds.start()
        until((folder / "children").exists)
        assert until(lambda: builds.doing() == "importing serving/spinning.py:8")


def test_a_module_that_kills_its_process_fails_its_build_alone(folder: Path, builds: BuildProcess) -> None:
    deadly = folder / "serving" / "deadly.py"
    deadly.write_text("import os\nfrom tritonforge import model\nos.kill(os.getpid(), 9)\n")
    assert outcome(builds).failure.endswith(" ended amid the build, with signal 9")
    deadly.unlink()
    assert outcome(builds) == Outcome()
