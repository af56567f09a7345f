"""perf_analyzer's JSON of single requests."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import threading
from pathlib import Path

import pytest

from tritonforge.load import Load, ProfileExport
from tritonforge.load.exports.trace import Tracer, read_trace
from tritonforge.load.figures.histogram import Histogram
from tritonforge.load.links.lane import Lane
from tritonforge.load.workers.job import Tally


def record(path: Path) -> list[Tally]:
    """Write a request's times, and those of a stream of two responses; give what was counted."""
    lane, tallies = Lane(), list[Tally]()
    with Tracer(str(path), 1000, tallies.append) as tracer:
        tracer.begin(0)
        tracer.roll(0)
        lane.started, lane.sequence = 5, 7
        tracer.add(lane, 25)
        lane.started, lane.sequence = 6, 0
        tracer.add_response(lane, 30)
        lane.started = 8  # the one before was given up
        tracer.add_response(lane, 40)
        tracer.add_response(lane, 50)
        tracer.add(lane, 60)
        lane.started = 9
        tracer.add_error("HTTP 500: no", lane.started)
        tracer.finish(60)
    return tallies


def test_requests_are_written_with_the_times_that_are_counted(tmp_path: Path) -> None:
    (tally,) = record(tmp_path / "trace")
    single, stream = read_trace(tmp_path / "trace")
    assert single == (5, 7, 25, (25,))
    assert stream == (8, 0, 60, (40, 50))
    assert tally.uncorrected == Histogram.of([each.ended - each.started for each in (single, stream)])


def test_the_file_has_perf_analyzers_keys(tmp_path: Path) -> None:
    with ProfileExport(tmp_path / "out.json") as export:
        for load in (Load("concurrency", 2), Load("rate", 10)):
            traces = export.traces(2)
            record(traces[0])
            export.add(load, traces, [0, 1, 60])
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
    found = json.loads((tmp_path / "out.json").read_text())
    assert list(found) == ["experiments", "version", "service_kind", "endpoint"]
    assert [each["experiment"] for each in found["experiments"]] == [
        {"mode": "concurrency", "value": 2},
        {"mode": "request_rate", "value": 10},
    ]
    for each in found["experiments"]:
        single, stream = each["requests"]
        assert single["timestamp"] - each["window_boundaries"][0] == 5
        assert (single["sequence_id"], "sequence_id" in stream) == (7, False)
        assert (len(stream["response_timestamps"]), stream["response_outputs"]) == (2, [{}, {}])


def test_nothing_is_left_where_nothing_was_measured(tmp_path: Path) -> None:
    with ProfileExport(tmp_path / "out.json"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_ended_before_the_windows_is_not_in_the_file_though_their_time_begins_before(tmp_path: Path) -> None:
    with ProfileExport(tmp_path / "out.json") as export:
        traces = export.traces(1)
        record(traces[0])
        export.add(Load("concurrency", 2), traces, [0, 1 << 62], counted_ns=1 << 61)
    (found,) = json.loads((tmp_path / "out.json").read_text())["experiments"]
    first, last = found["window_boundaries"]
    assert (last - first, found["requests"]) == (1 << 62, [])


def export_to(path: Path) -> ProfileExport:
    """Export one load."""
    with ProfileExport(path) as export:
        traces = export.traces(1)
        record(traces[0])
        export.add(Load("concurrency", 2), traces, [0, 1 << 62])
    assert export.written
    return export


def test_what_a_link_points_to_is_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "there" / "out.json", tmp_path / "link.json"
    link.symlink_to(target)
    for content in ("", "before"):
        if content:
            target.write_text(content)
            target.chmod(0o640)
        export_to(link)
        assert link.is_symlink()
        assert json.loads(target.read_text())["experiments"][0]["experiment"] == {"mode": "concurrency", "value": 2}
        assert [path.name for path in target.parent.iterdir()] == ["out.json"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", list[str]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    export_to(pipe)
    reader.join(30)
    assert len(json.loads(read[0])["experiments"]) == 1
    assert pipe.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


class Full:
    """A file on a disk that is full."""

    def __init__(self, *_: object) -> None:
        pass

    def write(self, _: object) -> int:
        raise OSError(28, "No space left on device")

    def tell(self) -> int:
        return 0

    def close(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_disk_that_fills_ends_the_export_alone(tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    target.write_text("before")
    export = ProfileExport(target)

    def add() -> None:
        with export:
            traces = export.traces(1)
            record(traces[0])
            export._file.close()
            export._file = Full()  # type: ignore[assignment]
            for load in (1, 2):
                export.add(Load("concurrency", load), traces, [0, 1 << 62])

    with pytest.raises(OSError, match="No space left") as raised:
        add()
    assert raised.value is export.failure
    assert not export.written
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


def test_traces_that_cannot_be_written_end_no_load(tmp_path: Path) -> None:
    lane = Lane()
    with Tracer(str(tmp_path / "nowhere" / "trace"), 1, id) as missing:
        missing.add(lane, 1)
    assert isinstance(missing.failure, FileNotFoundError)

    async def write() -> None:
        with Tracer(str(tmp_path / "trace"), 1, id) as full:
            assert full._file is not None
            full._file.close()
            full._file = Full()  # type: ignore[assignment]
            for _ in range(100):
                for _ in range(1000):
                    full.add(lane, 1)
                await asyncio.sleep(0)
            assert isinstance(full.failure, OSError)
            assert len(full._numbers) < 100_000

    asyncio.run(write())


def test_the_disk_is_written_to_once_the_next_request_is_sent(tmp_path: Path) -> None:
    """Its time begins with the end of the one before."""

    async def write() -> None:
        with Tracer(str(tmp_path / "trace"), 1, id) as tracer:
            for number in range(50_000):
                tracer.add(Lane(), number)
            assert not (tmp_path / "trace").stat().st_size
            await asyncio.sleep(0)
            assert (tmp_path / "trace").stat().st_size

    asyncio.run(write())
    assert [each.ended for each in read_trace(tmp_path / "trace")] == list(range(50_000))


def test_an_interruption_leaves_the_experiments_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    def add() -> None:
        with ProfileExport(tmp_path / "out.json") as export:
            for load in (1, 2):
                traces = export.traces(1)
                record(traces[0])
                if load == 2:
                    monkeypatch.setattr("tritonforge.load.exports.profile_export._request", interrupted)
                export.add(Load("concurrency", load), traces, [0, 1 << 62])

    with pytest.raises(KeyboardInterrupt):
        add()
    assert len(json.loads((tmp_path / "out.json").read_text())["experiments"]) == 1


def test_a_trace_that_ends_amid_a_request_is_read_until_there(tmp_path: Path) -> None:
    record(tmp_path / "trace")
    whole = (tmp_path / "trace").read_bytes()
    for lost in (3, 30):
        (tmp_path / "trace").write_bytes(whole[:-lost])
        assert [started for started, *_ in read_trace(tmp_path / "trace")] == [5]
