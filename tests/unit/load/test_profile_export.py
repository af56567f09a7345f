"""perf_analyzer's JSON of single requests."""

from __future__ import annotations

import json
from pathlib import Path

from tritonforge.load import Load, ProfileExport
from tritonforge.load.lane import Lane
from tritonforge.load.trace import Tracer, read_trace


class Nobody:
    """Hears of everything, and does nothing."""

    def responded(self, lane: Lane) -> None:
        """Do nothing."""

    def ended(self, lane: Lane, error: str, body: bytes | bytearray | memoryview) -> None:
        """Do nothing."""

    def lost(self, lane: Lane, reason: str) -> None:
        """Do nothing."""


def record(path: Path) -> None:
    lane = Lane()
    with Tracer(Nobody(), str(path)) as tracer:
        lane.started, lane.sequence = 5, 7
        tracer.ended(lane, "", b"")
        lane.started, lane.sequence = 6, 0
        tracer.responded(lane)
        lane.started = 8  # the one before was given up
        tracer.responded(lane)
        tracer.responded(lane)
        tracer.ended(lane, "", b"")
        lane.started = 9
        tracer.ended(lane, "HTTP 500: no", b"")


def test_requests_are_written_with_their_responses(tmp_path: Path) -> None:
    record(tmp_path / "trace")
    single, stream = read_trace(tmp_path / "trace")
    assert (single[:2], len(single[2])) == ((5, 7), 1)
    assert (stream[:2], len(stream[2])) == ((8, 0), 2)


def test_the_file_has_perf_analyzers_keys(tmp_path: Path) -> None:
    with ProfileExport(tmp_path / "out.json") as export:
        for load in (Load("concurrency", 2), Load("rate", 10)):
            traces = export.traces(2)
            record(traces[0])
            export.add(load, traces, [0, 1, 1 << 62])
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
