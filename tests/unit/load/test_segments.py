"""Shared memory of a load, and of runs that were killed."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tritonforge.load import LoadFailed
from tritonforge.load.input import segments
from tritonforge.load.input.segments import Segment, clear_abandoned, ownerless
from tritonforge.load.input.shared_memory import Regions

HELD = """
import sys, time
from pathlib import Path
from tritonforge.load.input import segments
segments._FOLDER = Path(sys.argv[1])
kept = segments.Segment(100)
print(kept.name, flush=True)
time.sleep(60)
"""


def test_a_segment_is_there_until_it_is_closed() -> None:
    segment = Segment(100)
    path = Path("/dev/shm", segment.name)
    assert segment.name.startswith(f"tritonforge_perf_{os.getpid()}_")
    clear_abandoned()
    assert path.stat().st_size == 100
    assert ownerless([segment.name, "psm_1"]) == []
    segment.close()
    assert not path.exists()
    assert ownerless([segment.name, "psm_1"]) == [segment.name]


def test_what_a_process_leaves_that_was_killed_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of their own: loads of other tests clear /dev/shm."""
    monkeypatch.setattr(segments, "_FOLDER", tmp_path)
    with subprocess.Popen([sys.executable, "-c", HELD, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        path = Path(tmp_path, process.stdout.readline().decode().strip())
        clear_abandoned()
        assert path.exists()
        process.send_signal(signal.SIGKILL)
    assert path.exists()
    clear_abandoned()
    assert not path.exists()


def test_a_segment_that_is_being_made_is_taken_for_abandoned_at_no_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another load clears away before it is locked."""
    lock, cleared = fcntl.flock, []

    def lock_later(file: int, operation: int) -> None:
        monkeypatch.undo()
        clear_abandoned()
        cleared.append(os.fstat(file).st_nlink == 0)
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", lock_later)
    segment = Segment(100)
    assert cleared == [True]
    assert Path("/dev/shm", segment.name).stat().st_size == 100
    segment.close()


class Control:
    """A server that has a region of a run that was killed, and others."""

    def __init__(self) -> None:
        self.names = ["tritonforge_perf_1_gone", "psm_1"]

    def register(self, region: str, key: str, size: int) -> None:
        assert Path("/dev/shm", key[1:]).stat().st_size == size
        self.names.append(region)

    def unregister(self, region: str) -> None:
        self.names.remove(region)

    def regions(self) -> list[str]:
        return list(self.names)


def test_the_first_region_has_those_of_killed_runs_unregistered() -> None:
    control = Control()
    with Regions(control) as regions:  # type: ignore[arg-type]
        (place,) = regions.reserve({"x": 8}).values()
        assert control.names == ["psm_1", place.name]
        control.names.append("tritonforge_perf_2_gone")
        regions.reserve({"x": 8})
        assert len(control.names) == 4
    assert control.names == ["psm_1", "tritonforge_perf_2_gone"]


def test_no_room_is_told_and_leaves_nothing() -> None:
    with Regions(Control()) as regions, pytest.raises(LoadFailed, match=f"no shared memory of {1 << 60} bytes"):  # type: ignore[arg-type]
        regions.reserve({"x": 1 << 60})
    assert not [name for name in os.listdir("/dev/shm") if name.startswith(f"tritonforge_perf_{os.getpid()}_")]
