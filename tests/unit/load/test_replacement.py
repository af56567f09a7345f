"""Files that take the place of others once they are whole."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tritonforge.load.exports.replacement import Replacement, is_device, is_replaced, open_device

LEAVING = """
import os, sys, time
from pathlib import Path
from tritonforge.load.exports.replacement import Replacement
new = Replacement(Path(sys.argv[1]))
new.part.write_text("half")
print(new.folder, flush=True)
time.sleep(600)
"""


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Have no file grow beyond a size, as `ulimit -f` does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def replace(path: Path, content: str) -> None:
    with Replacement(path) as new:
        new.part.write_text(content)
        new.put()


def test_what_was_there_stays_until_its_successor_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_text("before")
    with Replacement(file) as new:
        new.part.write_text("half")
        assert file.read_text() == "before"
    assert file.read_text() == "before"
    with pytest.raises(OSError, match="File too large"), files_of_at_most(1024):
        replace(file, "x" * 4096)
    assert file.read_text() == "before"
    with pytest.raises(OSError, match="File too large"), files_of_at_most(1024):
        replace(tmp_path / "new", "x" * 4096)
    assert os.listdir(tmp_path) == ["out"]


def test_the_mode_of_what_was_there_and_a_link_to_it_stay(tmp_path: Path) -> None:
    file, link = tmp_path / "folder" / "out", tmp_path / "link"
    link.symlink_to(file)
    replace(link, "first")
    file.chmod(0o604)
    replace(link, "second")
    assert link.is_symlink()
    assert file.read_text() == "second"
    assert stat.S_IMODE(file.stat().st_mode) == 0o604
    assert os.listdir(tmp_path / "folder") == ["out"]


def test_what_keeps_its_place_is_written_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is mounted by itself, as into a container, can't be replaced."""

    def busy(*_: object) -> None:
        raise OSError(16, "Device or resource busy")

    file = tmp_path / "out"
    file.write_text("before, and longer")
    monkeypatch.setattr(Path, "replace", busy)
    replace(file, "after")
    assert file.read_text() == "after"


def test_a_descriptor_is_written_to_where_it_stands(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb", buffering=0) as log:
        log.write(b"before ")
        for path in (Path(f"/dev/fd/{log.fileno()}"), Path(f"/proc/self/fd/{log.fileno()}")):
            assert is_device(path)
            assert not is_replaced(path)
            with open_device(path) as file:
                file.write(b"amid ")
        log.write(b"after")
    assert (tmp_path / "log").read_text() == "before amid amid after"
    assert is_device(Path("/dev/stdout"))
    assert is_device(Path(os.devnull))
    assert not is_device(tmp_path / "log")
    assert is_replaced(tmp_path / "new")


def test_what_a_killed_run_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    file = tmp_path / "out"
    killed = subprocess.Popen([sys.executable, "-c", LEAVING, str(file)], stdout=subprocess.PIPE, text=True)
    with killed:
        assert killed.stdout is not None
        left = Path(killed.stdout.readline().strip())
        replace(file, "beside one that lives")
        assert (left / "part").read_text() == "half"
        killed.send_signal(signal.SIGKILL)
    assert left.is_dir()
    replace(file, "after it")
    assert os.listdir(tmp_path) == ["out"]
