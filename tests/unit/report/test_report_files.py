"""What a report is written as."""

from __future__ import annotations

import csv
import gzip
import json
import math
import re
import resource
import sys
from dataclasses import replace
from html import escape
from pathlib import Path

import pytest

from tritonforge.load.figures.breakdown import break_down
from tritonforge.report import (
    BadReport,
    PngUnavailable,
    batch_table,
    breakdown_table,
    main_png,
    main_svg,
    markdown,
    page,
    perf_analyzer_csv,
    point_table,
    read_report,
    server_table,
    text_table,
    warnings_of,
    write_report,
)
from tritonforge.report.places import Unwritable, check_places
from tritonforge.report.summary import little_words

from .sample_report import as_read, report

COLUMNS = (
    "Concurrency,Inferences/Second,Client Send,Network+Server Send/Recv,Server Queue,Server Compute Input,"
    "Server Compute Infer,Server Compute Output,Client Recv,p50 latency,p90 latency,p95 latency,p99 latency"
)


def test_what_json_holds_is_read_again(tmp_path: Path) -> None:
    write_report(report(), tmp_path / "new" / "report.json", "json")
    assert read_report(tmp_path / "new" / "report.json") == as_read(report())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "it is empty"),
        ("[]", "not a report of format 1: found 'list'"),
        ("{}", "not a report of format 1: found None"),
        ('{"format": 999}', "it is a comparison"),
        ('{"a": 1, "format": 999}', "not a report of format 1: found 999"),
        ("[" * 100_000, "its JSON is nested too deep"),
        ("some words", "it isn't JSON, or not whole: Expecting value: line 1 column 1"),
        ('{"settings": {"url"', "it isn't JSON, or not whole: Expecting ':' delimiter"),
        ('{"experiments": [', "it is a profile export"),
        ("Concurrency,Inferences/Second", "it is perf_analyzer's CSV"),
        ("<!doctype html>", "it is HTML"),
        ('{"settings": {}, "format": 1}', "not a Report: a Report has no environment, seed, points"),
    ],
)
def test_another_file_is_no_report(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(BadReport, match=rf"other\.json is no report: {re.escape(said)}(?s:.)*--json FILE writes one"):
        read_report(path)


def test_what_a_changed_report_lacks_is_named(tmp_path: Path) -> None:
    data = report().to_json()
    data["points"][0]["windows"][2] = {"start_s": 1}
    (tmp_path / "damaged.json").write_text(json.dumps(data))
    with pytest.raises(BadReport, match="a Window has no duration_s, requests, inferences …"):
        read_report(tmp_path / "damaged.json")


@pytest.mark.parametrize(
    ("name", "value"),
    [("throughput", math.nan), ("throughput", -5), ("p50_us", 0), ("p99_us", math.inf), ("duration_s", 0)],
)
def test_figures_that_nobody_measures_are_no_report(name: str, value: float, tmp_path: Path) -> None:
    path = tmp_path / "damaged.json"
    data = report().to_json()
    data["points"][1]["windows"][4][name] = value
    path.write_text(json.dumps(data))
    with pytest.raises(BadReport, match=f"concurrency 2: its window 4 has {value:g} as {name}"):
        read_report(path)


def test_a_number_beyond_all_measure_is_no_report(tmp_path: Path) -> None:
    data = report().to_json()
    data["points"][0]["windows"][0]["requests"] = math.inf
    (tmp_path / "damaged.json").write_text(json.dumps(data))
    with pytest.raises(BadReport, match="cannot convert float infinity to integer"):
        read_report(tmp_path / "damaged.json")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("url", 5, "5 is no text"), ("timeout_s", math.inf, "Out of range float values are not JSON compliant")],
)
def test_settings_that_nobody_gives_are_no_report(name: str, value: float, words: str, tmp_path: Path) -> None:
    data = report().to_json()
    data["settings"][name] = value
    (tmp_path / "damaged.json").write_text(json.dumps(data))
    with pytest.raises(BadReport, match=words):
        read_report(tmp_path / "damaged.json")


def test_a_window_in_which_nothing_ended_is_one_of_a_report(tmp_path: Path) -> None:
    made = report()
    empty = replace(made.points[0].windows[0], throughput=0.0, mean_us=0.0, p50_us=0.0, p99_us=0.0)
    stalled = replace(made, points=(replace(made.points[0], windows=(empty, *made.points[0].windows[1:])),))
    write_report(stalled, tmp_path / "report.json", "json")
    assert read_report(tmp_path / "report.json") == as_read(stalled)


def test_csv_has_perf_analyzers_columns() -> None:
    header, *rows = perf_analyzer_csv(report()).splitlines()
    assert header == COLUMNS
    assert len(rows) == 7
    first = dict(zip(header.split(","), rows[0].split(","), strict=True))
    point = report().points[0]
    assert first["Concurrency"] == "1"
    assert float(first["Inferences/Second"]) == pytest.approx(point.throughput.value, rel=1e-5)
    assert int(first["p99 latency"]) == round(point.latency.p99_us.value)
    top = point.server[0]
    server_us = sum(
        int(first[f"Server {name}"]) for name in ("Queue", "Compute Input", "Compute Infer", "Compute Output")
    )
    assert server_us == pytest.approx(top.queue_us + top.compute_infer_us + 14, abs=2)
    # perf_analyzer's own rule, seen of its release 2.50: the server's overhead is with the network.
    assert int(first["Network+Server Send/Recv"]) == pytest.approx(point.latency.mean_us.value - server_us, abs=2)


def test_csv_has_cache_columns_where_the_cache_was_used() -> None:
    whole = report()
    server = replace(whole.points[0].server[0], cache_hits=3, cache_hit_us=5.0)
    cached = replace(whole, points=(replace(whole.points[0], server=(server,)),))
    (row,) = csv.DictReader(perf_analyzer_csv(cached).splitlines())
    assert (row["Server Cache Hit"], row["Server Cache Miss"]) == ("5", "0")
    assert list(row).index("Server Cache Hit") == list(row).index("Server Compute Output") + 1


def test_csv_has_no_client_times_where_nobody_took_them() -> None:
    whole = report()
    timed = replace(whole.points[0], client_send_us=3.0, client_receive_us=0.2)
    rows = csv.DictReader(perf_analyzer_csv(replace(whole, points=(whole.points[0], timed))).splitlines())
    assert [(row["Client Send"], row["Client Recv"]) for row in rows] == [("", ""), ("3", "0")]


def test_csv_has_the_send_of_the_table_and_parts_that_add_up_to_the_latency() -> None:
    """A sender that lost its processor to the server was in the call that sends for most of the latency."""
    whole = report().points[0]
    mean = whole.latency.mean_us.value
    client_us = (mean * 0.8, mean * 0.01)
    steps = break_down(whole.latency, whole.latency, whole.server, {"fraud"}, client_us=client_us)
    point = replace(whole, breakdown=steps, client_send_us=client_us[0], client_receive_us=client_us[1])
    (row,) = csv.DictReader(perf_analyzer_csv(replace(report(), points=(point,))).splitlines())
    sent = next(step.mean_us for step in steps if step.name == "client send")
    assert row["Client Send"] == str(round(sent))
    parts = [int(cell) for name, cell in row.items() if name.startswith(("Client", "Network", "Server"))]
    assert sum(parts) == pytest.approx(mean, abs=len(parts) / 2 + 0.5)


def test_csv_has_nothing_of_a_server_that_tells_nothing_of_itself() -> None:
    """The time of network and server can't be told apart from the model's, then."""
    whole = report()
    silent = replace(whole.points[0], server=(), client_send_us=3.0)
    first, second = csv.DictReader(perf_analyzer_csv(replace(whole, points=(silent, whole.points[1]))).splitlines())
    assert {name for name, cell in first.items() if not cell} == {
        "Network+Server Send/Recv", "Server Queue", "Server Compute Input", "Server Compute Infer",
        "Server Compute Output", "Client Recv",
    }  # fmt: skip
    assert [name for name, cell in second.items() if not cell] == ["Client Send", "Client Recv"]


def test_computing_is_by_the_requests_that_the_cache_did_not_answer() -> None:
    """Of 10 requests 8 were hits: the two others took 50 µs each, and a look into the cache 7 µs."""
    whole = report()
    server = replace(
        whole.points[0].server[0], requests=10, cache_hits=8, cache_hit_us=3.0, cache_misses=2, cache_miss_us=7.0,
        queue_us=1.0, compute_input_us=0.0, compute_infer_us=10.0, compute_output_us=0.0,
    )  # fmt: skip
    cached = replace(whole, points=(replace(whole.points[0], server=(server,)),))
    (row,) = csv.DictReader(perf_analyzer_csv(cached).splitlines())
    assert [row[f"Server {name}"] for name in ("Compute Infer", "Cache Hit", "Cache Miss")] == ["50", "3", "7"]
    mean = whole.points[0].latency_uncorrected.mean_us.value
    assert int(row["Network+Server Send/Recv"]) == round(mean - 1 - 50 - 3 - 7)


def test_tables_leave_out_what_says_nothing() -> None:
    table = point_table(report().points)
    assert "errors" not in table.columns
    assert "note" not in table.columns
    told = point_table(report(errors=3, stable=False).points)
    assert told.rows[0][told.columns.index("errors")] == "3"
    assert told.rows[0][told.columns.index("note")] == "unstable"
    assert text_table(told).splitlines()[1].startswith("concurrency 1 ")
    assert markdown(told).splitlines()[1].startswith("|---|---:|")


def test_the_objective_that_was_missed_is_named() -> None:
    whole = report().points[0]
    late = replace(whole, slo_met=False, slo_missed=("mean",))
    table = point_table([whole, late])
    assert [row[table.columns.index("SLO")] for row in table.rows] == ["met", "missed mean"]


def test_what_had_no_answer_is_shown_and_said() -> None:
    found = report()
    first = replace(found.points[0], unanswered=1, unanswered_s=5.5, overdue={"p50": 1, "p99": 1200})
    whole = replace(found, points=(first, *found.points[1:]))
    columns, (row, *_) = point_table(whole.points).columns, point_table(whole.points).rows
    assert "no answer" not in point_table(found.points).columns
    assert dict(zip(columns, row, strict=True))["no answer"] == "1"
    assert warnings_of(whole)[:4] == [
        "concurrency 1: 1 request had no answer at the end, the oldest for 5.5 s",
        "concurrency 1: the server stopped answering: none of the requests under way at the end had an answer",
        "concurrency 1: 1 request under way at the windows' end had taken longer than p50 may, and counts as a miss",
        "concurrency 1: 1,200 requests under way at the windows' end had taken longer than p99 may, "
        "and count as misses",
    ]


def test_the_servers_table_has_steps_below_their_ensemble() -> None:
    rows = server_table(report().points[:1]).rows
    assert [row[:2] for row in rows] == [("concurrency 1", "fraud"), ("", "· normalize"), ("", "· classifier")]


def test_failures_and_the_cache_have_columns_where_there_were_any() -> None:
    whole = report().points[0]
    names = {"failed", "cache hits", "cache misses"}
    assert not names & set(server_table([whole]).columns)
    server = (replace(whole.server[0], cache_hits=3, cache_hit_us=5.0, failures=2), *whole.server[1:])
    table = server_table([replace(whole, server=server)])
    assert names & set(table.columns) == {"failed", "cache hits"}
    first, second, _ = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    assert (first["failed"], first["cache hits"]) == ("2", "3, 5 µs")
    assert (second["failed"], second["cache hits"]) == ("–", "–")


def test_batch_sizes_are_shares_by_powers_of_two() -> None:
    whole = report().points[0]
    assert batch_table([whole]).rows == ()
    server = (
        replace(whole.server[0], batches={1: 5, 2: 2, 3: 1, 4: 1, 8: 1}),
        replace(whole.server[1], batches={1: 7}),
    )
    table = batch_table([replace(whole, server=server)])
    assert table.columns == ("load", "model", "1", "2", "3-4", "5-8")
    assert table.rows == (
        ("concurrency 1", "fraud", "50%", "20%", "20%", "10%"),
        ("", "· normalize", "100%", "–", "–", "–"),
    )
    assert "Shares of the executions" in page(replace(report(), points=(replace(whole, server=server),)))


def test_the_main_plot_is_a_picture_by_itself() -> None:
    drawing = main_svg(report())
    assert drawing.startswith("<svg ")
    assert "var(" not in drawing
    assert "http" not in drawing.replace("http://www.w3.org/2000/svg", "")


def test_png_of_the_main_plot(tmp_path: Path) -> None:
    pytest.importorskip("resvg_py", reason="resvg-py is not installed")
    write_report(report(), tmp_path / "plot.png", "png")
    content = (tmp_path / "plot.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert (int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")) == (1360, 720)


def test_png_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(PngUnavailable, match=r"pip install 'tritonforge\[png\]'"):
        main_png(report())


@pytest.mark.parametrize("kind", ["html", "json"])
def test_secrets_in_headers_are_in_no_file(kind: str, tmp_path: Path) -> None:
    write_report(report(), tmp_path / f"out.{kind}", kind)
    written = (tmp_path / f"out.{kind}").read_text()
    assert "Authorization" in written
    assert "secret" not in written


def test_json_is_plain(tmp_path: Path) -> None:
    write_report(report(), tmp_path / "r.json", "json")
    data = json.loads((tmp_path / "r.json").read_text())
    assert data["points"][0]["latency"]["histogram"]["count"] == report().points[0].latency.count


def test_figures_of_which_there_are_none_are_no_noughts() -> None:
    made = report()
    empty = replace(made.points[0], windows=(), slo_met=None, stable=False, goodput=None, breakdown=())
    none = replace(made, points=(empty, made.points[1]))
    (row, _) = point_table(none.points).rows
    assert row == ("concurrency 1", *["–"] * 8, "–", "nothing measured")
    assert "concurrency 1: nothing was measured: no request ended within a window" in warnings_of(none)
    cells = perf_analyzer_csv(none).splitlines()[1].split(",")
    assert cells[0] == "1"
    assert set(cells[2:]) == {""}
    failed = replace(none, points=(replace(report(errors=3).points[0], windows=()),))
    assert "concurrency 1: nothing was measured: no request succeeded within a window" in warnings_of(failed)


def test_loads_that_are_not_broken_down_have_no_column() -> None:
    first, second = report().points[:2]
    table = breakdown_table([replace(first, breakdown=()), second])
    assert table.columns == ("step", "concurrency 2")
    assert breakdown_table([replace(first, breakdown=())]).rows == ()


def test_a_csv_of_both_protocols_is_one_for_each(tmp_path: Path) -> None:
    made = report()
    both = replace(made, points=(made.points[0], replace(made.points[1], protocol="grpc")))
    files = write_report(both, tmp_path / "out.csv", "csv")
    assert [file.name for file in files] == ["out-http.csv", "out-grpc.csv"]
    for file, load in zip(files, "12", strict=True):
        header, row = file.read_text().splitlines()
        assert header == COLUMNS
        assert row.startswith(f"{load},")
    assert write_report(made, tmp_path / "one.csv", "csv") == [tmp_path / "one.csv"]


def test_a_compressed_report_is_read(tmp_path: Path) -> None:
    file = tmp_path / "report.json.gz"
    write_report(report(), tmp_path / "report.json", "json")
    whole = gzip.compress((tmp_path / "report.json").read_bytes())
    file.write_bytes(whole)
    assert read_report(file) == as_read(report())
    for damaged in (whole[:50], whole[:3] + b"x" + whole[4:90], b"\x1f\x8bno more"):
        file.write_bytes(damaged)
        with pytest.raises(BadReport, match="it can't be decompressed"):
            read_report(file)
    with pytest.raises(Unwritable, match=r"it is not compressed; name it report\.json"):
        check_places([("json", "json", file)])


@pytest.mark.parametrize("kind", ["json", "csv", "html", "svg"])
def test_a_report_that_cannot_be_written_whole_leaves_the_one_before(kind: str, tmp_path: Path) -> None:
    file = tmp_path / f"out.{kind}"
    write_report(report(), file, kind)
    before = file.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limit[1]))
    try:
        for path in (file, tmp_path / f"new.{kind}"):
            with pytest.raises(OSError, match="File too large"):
                write_report(report(seed=1), path, kind)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_the_page_has_littles_law_of_each_closed_loop() -> None:
    found = report()
    assert little_words(found)
    assert all(escape(line) in page(found) for line in little_words(found))
