"""Shared memory of this process, and of processes that are gone."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from tritonforge.client.message import Request, Response, Tensor
from tritonforge.client.shared_memory import arena as arena_module
from tritonforge.client.shared_memory import segments
from tritonforge.client.shared_memory.arena import Arena
from tritonforge.client.shared_memory.segments import PREFIX, Segment, abandoned, remove

BIG = np.zeros(arena_module.LEAST_BYTES, np.uint8)


def request() -> Request:
    return Request("m", (Tensor("x", "UINT8", BIG.shape, BIG.data),))


def response() -> Response:
    return Response("m", "1", "", (Tensor("y", "UINT8", BIG.shape, BIG.data),), {})


def own_segments() -> set[str]:
    return {name for name in os.listdir("/dev/shm") if name.startswith(f"{PREFIX}{os.getpid()}_")}


def test_a_segment_is_there_until_it_is_closed():
    segment = Segment(100)
    path = Path("/dev/shm", segment.name)
    assert path.stat().st_size == 100
    assert segment.name not in set(abandoned())
    segment.close()
    assert not path.exists()


def test_a_segment_without_an_owner_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(segments, "_FOLDER", tmp_path)  # clients of other tests clear /dev/shm
    path = tmp_path / f"{PREFIX}0_test"
    path.write_bytes(b"x")
    assert set(abandoned()) == {path.name}
    remove(path.name)
    assert not path.exists()
    remove(path.name)


def test_a_segment_that_is_being_made_is_taken_for_abandoned_at_no_moment(monkeypatch):
    """Another client looks for such segments before it is locked, and goes on while it is."""
    lock, names = fcntl.flock, []

    def lock_later(file: int, operation: int) -> None:
        monkeypatch.undo()
        names.extend(set(abandoned()) & own_segments())
        for name in names:
            remove(name)
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", lock_later)
    segment = Segment(100)
    assert len(names) == 1
    assert Path("/dev/shm", segment.name).stat().st_size == 100
    assert segment.name not in set(abandoned())
    segment.close()


def test_a_segment_that_another_client_looks_at_as_it_is_made_is_made_all_the_same(monkeypatch):
    lock, looked, before = fcntl.flock, [], own_segments()

    def lock_later(file: int, operation: int) -> None:
        monkeypatch.undo()
        (name,) = own_segments() - before
        looked.append(other := os.open(f"/dev/shm/{name}", os.O_RDWR))
        lock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        threading.Timer(0.05, os.close, [other]).start()
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", lock_later)
    segment = Segment(100)
    assert looked
    assert Path("/dev/shm", segment.name).stat().st_size == 100
    segment.close()


def test_no_room_is_an_error_and_leaves_nothing():
    before = own_segments()
    with pytest.raises(OSError, match=r"space|memory|large"):
        Segment(1 << 60)
    assert own_segments() <= before


def names_of_segments(count: int) -> list[str]:
    """Make segments, and leave them as they are."""
    left.extend(Segment(100) for _ in range(count))
    return [segment.name for segment in left]


left: list[Segment] = []


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # CPython 3.12
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_workers_that_end_leave_none(method):
    with multiprocessing.get_context(method).Pool(1) as workers:
        names = workers.apply(names_of_segments, (2,))
        assert all(Path("/dev/shm", name).exists() for name in names)
        workers.close()
        workers.join()
    assert not [name for name in names if Path("/dev/shm", name).exists()]


def test_small_requests_are_left_alone():
    assert Arena().place(Request("m", (Tensor("x", "UINT8", (3,), b"abc"),))) is None


def test_a_segment_is_lent_again_once_no_view_of_it_is_left():
    arena = Arena()
    arena.learn(request(), response())
    placed = arena.place(request(), ("y",))
    assert placed.request.inputs[0].region.size == BIG.size
    assert placed.request.outputs == ("y",)
    empty = response()._replace(outputs=(Tensor("y", "UINT8", BIG.shape, b""),))
    taken = arena.take(placed, empty)
    arena.done(placed)
    view = np.frombuffer(taken.outputs[0].data, np.uint8)
    del taken
    other = arena.place(request(), ("y",))
    assert other.segment is not placed.segment
    arena.done(other)
    del view
    again = {arena.place(request(), ("y",)).segment for _ in range(2)}
    assert again == {placed.segment, other.segment}
    for segment in (placed.segment, other.segment):
        segment.close()
