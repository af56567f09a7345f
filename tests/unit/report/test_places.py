"""Where reports are written, and what they don't replace."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from tritonforge.load import Load
from tritonforge.report import (
    PngUnavailable,
    compare_reports,
    comparison_json,
    comparison_markdown,
    perf_analyzer_csv,
    write_report,
)
from tritonforge.report.files import files_of
from tritonforge.report.places import Unwritable, check_places

from .sample_report import report


def test_places_are_looked_at_before_there_is_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = tmp_path / "new" / "folder" / "out.json"
    check_places([("json", "json", new), ("csv", "csv", tmp_path / "out.csv")])
    assert not new.parent.exists()
    (tmp_path / "file").write_text("")
    for path, words in ((tmp_path, "it is a folder"), (tmp_path / "file" / "out.json", "Not a directory")):
        with pytest.raises(Unwritable, match=words):
            check_places([("json", "json", path)])
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(PngUnavailable):
        check_places([("png", "png", tmp_path / "out.png")])


def test_places_are_tried_and_left_as_they_were(tmp_path: Path) -> None:
    """Whom permissions bind not at all can make no file in /proc either."""
    kept, link, fifo = tmp_path / "kept.json", tmp_path / "link.html", tmp_path / "fifo"
    kept.write_text('{\n "settings": {}}')
    link.symlink_to(tmp_path / "new" / "page.html")
    os.mkfifo(fifo)
    files = {"json": kept, "html": link, "csv": fifo, "svg": tmp_path / "a" / "b" / "plot.svg"}
    check_places([(kind, kind, path) for kind, path in files.items()])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fifo", "kept.json", "link.html"]
    assert kept.read_text() == '{\n "settings": {}}'
    assert link.is_symlink()
    for path in (Path("/proc/x.json"), Path("/proc/new/x.json")):
        with pytest.raises(Unwritable, match=rf"--json: {path} can't be written: "):
            check_places([("json", "json", path)])


def test_a_pipe_that_a_link_names_is_written(tmp_path: Path) -> None:
    """`>(…)` of a shell, or /dev/stdout: what the link names is no path."""
    reading, writing = os.pipe()
    place = Path(f"/dev/fd/{writing}")
    check_places([("csv", "csv", place)])
    assert write_report(report(), place, "csv") == [place]
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        assert pipe.readline().startswith("Concurrency,Inferences/Second,")


def test_a_device_takes_several(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "out.json.gz")
    check_places([("json", "json", tmp_path / "out.json.gz")])
    check_places([("csv", "csv", Path(os.devnull)), ("html", "html", Path(os.devnull))])
    made = report()
    both = replace(made, points=(made.points[0], replace(made.points[1], protocol="grpc")))
    assert write_report(both, Path(os.devnull), "csv") == [Path(os.devnull)]


@pytest.mark.parametrize(
    ("kind", "name", "better"), [("png", "x.jpg", "x.png"), ("csv", "x.JSON", "x.csv"), ("html", "x.svg", "x.html")]
)
def test_a_name_that_ends_as_another_format_is_refused(kind: str, name: str, better: str, tmp_path: Path) -> None:
    with pytest.raises(Unwritable, match=f"--{kind}: .*{name} can't be written: it holds no .*; name it {better}"):
        check_places([(kind, kind, tmp_path / name)])
    check_places(
        [("json", "json", tmp_path / "a.txt"), ("csv", "csv", tmp_path / "b"), ("json", "json", tmp_path / "c.v2")]
    )


def test_standard_output_is_not_for_files() -> None:
    with pytest.raises(Unwritable, match="--html: - can't be written: standard output has the tables; name a file"):
        check_places([("html", "html", Path("-"))])


def test_two_outputs_do_not_share_a_file(tmp_path: Path) -> None:
    with pytest.raises(Unwritable, match=r"--profile-export: .*--json is written there; name another file"):
        check_places([("json", "json", tmp_path / "a"), ("profile_export", "profile_export", tmp_path / "." / "a")])


@pytest.mark.parametrize("named", ["rows.jsonl", "../here/rows.jsonl", "link.jsonl", "hard.jsonl"])
def test_what_is_read_is_not_replaced(named: str, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    rows = folder / "rows.jsonl"
    rows.write_text('{"settings": 1}\n')
    (folder / "link.jsonl").symlink_to("rows.jsonl")
    (folder / "hard.jsonl").hardlink_to(rows)
    with pytest.raises(Unwritable, match=r"--json: .*jsonl can't be written: --data is read from there; name another"):
        check_places([("json", "json", folder / named)], [("--data", rows)])
    check_places([("json", "json", folder / "other.json")], [("--data", rows)])


def test_a_baseline_may_become_the_report_that_is_held_against_it(tmp_path: Path) -> None:
    file = tmp_path / "base.json"
    write_report(report(), file, "json")
    check_places([("json", "json", file)], [("--baseline", file)])
    with pytest.raises(Unwritable, match="--baseline is read from there"):
        check_places([("profile_export", "profile_export", file)], [("--baseline", file)])


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("json", "import numpy\n", "a report"),
        ("json", '{"models": {}}', "a report"),
        ("comparison", '{"settings": {}}', "a comparison"),
        ("markdown", "# Read me\n", "a comparison"),
        ("csv", "time,wind\n", "perf_analyzer's CSV"),
        ("html", "plain words", "HTML"),
        ("svg", "<?xml?>", "an SVG"),
        ("png", "no picture", "a PNG"),
        ("profile_export", '{"settings": {}}', "a profile export"),
    ],
)
def test_a_file_of_another_kind_is_not_replaced(kind: str, content: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "there"
    file.write_text(content)
    with pytest.raises(
        Unwritable, match=f"--json: .*there can't be written: what is there is not {said}; name another"
    ):
        check_places([("json", kind, file)])
    file.write_text("")
    check_places([("json", kind, file)])


def test_what_is_written_may_be_written_again(tmp_path: Path) -> None:
    made = report()
    for kind in ("json", "csv", "html", "svg", "png"):
        if kind != "png" or find_spec("resvg_py"):
            write_report(made, tmp_path / f"r.{kind}", kind)
            check_places([(kind, kind, tmp_path / f"r.{kind}")])
    comparison = compare_reports(made, made, names=("a", "b"))
    for kind, text in (
        ("markdown", comparison_markdown(comparison)),
        ("comparison", comparison_json([comparison])),
        ("csv", perf_analyzer_csv(replace(made, points=tuple(replace(p, load=Load("rate", 9)) for p in made.points)))),
    ):
        (tmp_path / "again").write_text(text, encoding="utf-8")
        check_places([("markdown", kind, tmp_path / "again")])


def test_each_protocols_csv_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    assert files_of(path, "csv", ["http"]) == files_of(path, "json", ["http", "grpc"]) == [path]
    named = [file.name for file in files_of(path, "csv", ["http", "grpc"])]
    assert named == ["out.csv", "out-http.csv", "out-grpc.csv"]
