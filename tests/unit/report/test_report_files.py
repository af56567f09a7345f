"""What a report is written as."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tritonforge.report import (
    BadReport,
    PngUnavailable,
    main_png,
    main_svg,
    markdown,
    perf_analyzer_csv,
    point_table,
    read_report,
    server_table,
    text_table,
    warnings_of,
    write_report,
)

from .sample_report import report

COLUMNS = (
    "Concurrency,Inferences/Second,Client Send,Network+Server Send/Recv,Server Queue,Server Compute Input,"
    "Server Compute Infer,Server Compute Output,Client Recv,p50 latency,p90 latency,p95 latency,p99 latency"
)


def test_what_json_holds_is_read_again(tmp_path: Path) -> None:
    write_report(report(), tmp_path / "new" / "report.json", "json")
    assert read_report(tmp_path / "new" / "report.json") == report()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 999}'])
def test_another_file_is_no_report(content: str, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(BadReport, match=r"other\.json is no report: (?s:.)*--json FILE writes one"):
        read_report(path)


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
    assert int(first["Network+Server Send/Recv"]) == pytest.approx(point.latency.mean_us.value - top.request_us, abs=1)


def test_csv_has_cache_columns_where_the_cache_was_used() -> None:
    whole = report()
    server = replace(whole.points[0].server[0], cache_hits=3, cache_hit_us=5.0)
    cached = replace(whole, points=(replace(whole.points[0], server=(server,)),))
    (row,) = csv.DictReader(perf_analyzer_csv(cached).splitlines())
    assert (row["Server Cache Hit"], row["Server Cache Miss"]) == ("5", "0")
    assert list(row).index("Server Cache Hit") == list(row).index("Server Compute Output") + 1


def test_tables_leave_out_what_says_nothing() -> None:
    table = point_table(report().points)
    assert "errors" not in table.columns
    assert "note" not in table.columns
    told = point_table(report(errors=3, stable=False).points)
    assert told.rows[0][told.columns.index("errors")] == "3"
    assert told.rows[0][told.columns.index("note")] == "unstable"
    assert text_table(told).splitlines()[1].startswith("concurrency 1 ")
    assert markdown(told).splitlines()[1].startswith("|---|---:|")


def test_the_servers_table_has_steps_below_their_ensemble() -> None:
    rows = server_table(report().points[:1]).rows
    assert [row[:2] for row in rows] == [("concurrency 1", "fraud"), ("", "· normalize"), ("", "· classifier")]


def test_warnings_name_the_loads_once() -> None:
    assert warnings_of(report()) == []
    assert warnings_of(report(errors=3)) == ["all loads: HTTP 400: input 'x' has <no> batch"]


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


def test_secrets_in_headers_stay_out_of_the_page(tmp_path: Path) -> None:
    write_report(report(), tmp_path / "page.html", "html")
    page = (tmp_path / "page.html").read_text()
    assert "Authorization" in page
    assert "secret" not in page


def test_json_is_plain(tmp_path: Path) -> None:
    write_report(report(), tmp_path / "r.json", "json")
    data = json.loads((tmp_path / "r.json").read_text())
    assert data["points"][0]["latency"]["histogram"]["count"] == report().points[0].latency.count
