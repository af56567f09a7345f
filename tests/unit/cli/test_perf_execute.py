"""How a measurement ends, without a server."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tritonforge.cli import app
from tritonforge.load import (
    Data,
    GeneratorGone,
    Load,
    LoadFailed,
    ModelLoad,
    ProfileExport,
    Progress,
    Report,
    ServerGone,
    Settings,
    SweepInterrupted,
)
from tritonforge.load.figures.histogram import Histogram
from tritonforge.load.figures.merge import make_point
from tritonforge.load.observed.environment import describe
from tritonforge.load.sweep import find_knee
from tritonforge.load.workers.job import Tally
from tritonforge.report.summary import tiles


def report() -> Report:
    """Give one without any load."""
    return Report(Settings("http://127.0.0.1:1", (ModelLoad("echo"),)), describe({}), 0, ())


def test_an_interruption_before_the_first_figures_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tritonforge.report.sweep.sweep", interrupted)
    result = CliRunner().invoke(app, ["perf", "echo", "--url", "http://127.0.0.1:1"])
    assert result.exit_code == 130
    assert result.output == "interrupted: nothing was measured yet, as no window was over\n"


@pytest.mark.parametrize("where", ["tritonforge.report.scenario.scenario_of", "tritonforge.report.places.check_places"])
@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_an_interruption_before_the_load_is_told(
    where: str, number: int, code: int, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, lambda *_, **__: os.kill(os.getpid(), number))
    before = signal.getsignal(signal.SIGTERM)
    result = CliRunner().invoke(app, ["perf", "echo", "--url", "http://127.0.0.1:1"])
    assert (result.exit_code, result.output) == (code, f"{word}: nothing was measured yet, as no window was over\n")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_termination_keeps_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one doesn't keep it from being written."""
    out = tmp_path / "out.json"

    def terminated(*_: Any, **__: Any) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt as error:
            raise SweepInterrupted(f"{error} at concurrency 2", replace(report(), complete=False)) from error

    def write(*arguments: Any) -> list[Path]:
        os.kill(os.getpid(), signal.SIGTERM)
        return [out]

    monkeypatch.setattr("tritonforge.report.sweep.sweep", terminated)
    monkeypatch.setattr("tritonforge.report.write_report", write)
    result = CliRunner().invoke(app, ["perf", "echo", "--url", "http://127.0.0.1:1", "--json", str(out)])
    assert result.exit_code == 143, result.output
    assert f"wrote {out}" in result.stdout
    assert "terminated at concurrency 2; the figures are of what was measured until then" in result.output


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_after_the_last_load_loses_nothing(
    number: int, code: int, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes while the export is closed."""
    out, close = tmp_path / "out.json", ProfileExport.__exit__

    def closing(export: ProfileExport, *error: Any) -> None:
        close(export, *error)
        os.kill(os.getpid(), number)

    monkeypatch.setattr("tritonforge.report.sweep.sweep", lambda *_, **__: report())
    monkeypatch.setattr(ProfileExport, "__exit__", closing)
    files = ["--json", str(out), "--profile-export", str(tmp_path / "requests.json")]
    result = CliRunner().invoke(app, ["perf", "echo", "--url", "http://127.0.0.1:1", *files])
    assert result.exit_code == code, result.output
    assert f"wrote {out}" in result.stdout
    assert f"{word}; all was measured by then\n" in result.output
    assert "nothing was measured" not in result.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_amid_the_writing_lets_it_end(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out.json"

    def write(*_: object) -> list[Path]:
        os.kill(os.getpid(), number)
        return [out]

    monkeypatch.setattr("tritonforge.report.sweep.sweep", lambda *_, **__: report())
    monkeypatch.setattr("tritonforge.report.write_report", write)
    result = CliRunner().invoke(app, ["perf", "echo", "--url", "http://127.0.0.1:1", "--json", str(out)])
    assert result.exit_code == 0, result.output
    assert f"wrote {out}" in result.stdout


def test_a_second_interruption_after_a_window_does_not_say_that_nothing_was_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    latency = Histogram.of([10**7] * 9)

    def interrupted(*_: Any, on_window: Progress, **__: Any) -> None:
        lasted = [Tally(0, 10**9, latency, latency)]
        on_window(make_point(Load("rate", 9), report().settings, lasted, 1, agreed=True))
        raise KeyboardInterrupt

    monkeypatch.setattr("tritonforge.report.sweep.sweep", interrupted)
    result = CliRunner().invoke(app, ["perf", "echo", "--url", "http://127.0.0.1:1"])
    assert (result.exit_code, result.output) == (130, "interrupted: the results are not all shown and written\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_python_dropped_amid_the_sweep_is_told_beside_the_figures(
    number: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where no window came after it, at which it would have been raised."""

    class Finalized:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)

    def measured(*_: Any, **__: Any) -> Report:
        Finalized()
        return report()

    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    monkeypatch.setattr("tritonforge.report.sweep.sweep", measured)
    result = CliRunner().invoke(app, ["perf", "echo", "--url", "http://127.0.0.1:1"])
    assert (result.exit_code, "all was measured by then" in result.output) == (code, True), result.output


def test_an_export_that_could_not_be_written_is_told_beside_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, lost = tmp_path / "out.json", tmp_path / "requests.json"

    def measured(*_: Any, export: ProfileExport, **__: Any) -> Report:
        export.fail(OSError(28, "No space left on device"))
        return report()

    monkeypatch.setattr("tritonforge.report.sweep.sweep", measured)
    files = ["--json", str(kept), "--profile-export", str(lost)]
    result = CliRunner().invoke(app, ["perf", "echo", "--url", "http://127.0.0.1:1", *files])
    assert result.exit_code == 2, result.output
    assert f"--profile-export: {lost} is not written: [Errno 28] No space left on device\n" in result.output
    assert f"wrote {kept}" in result.stdout
    assert f"wrote {lost}" not in result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json"]


@pytest.mark.parametrize(
    ("load", "lost", "code", "words"),
    [
        (Load("rate", 100), 0, 0, ""),
        (Load("rate", 100), 1, 0, ""),
        (Load("rate", 100), 2, 1, "1.9 % of the requests failed or had no answer, more than --max-errors 1%\n"),
        (Load("concurrency", 1), 1, 1, "the server stopped answering"),
    ],
)
def test_requests_without_an_answer_fail_the_run(
    load: Load, lost: int, code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    latency = Histogram.of([10**7] * 101)

    def measured(*_: Any, **__: Any) -> Report:
        lasted = [Tally(0, 10**9, latency, latency)]
        found = report()
        point = make_point(load, found.settings, lasted, 1, agreed=True, unanswered_ns=[10**10] * lost)
        return replace(found, points=(point,))

    monkeypatch.setattr("tritonforge.report.sweep.sweep", measured)
    result = CliRunner().invoke(app, ["perf", "echo", "--url", "http://127.0.0.1:1"])
    assert result.exit_code == code, result.output
    assert words in result.output


@pytest.mark.parametrize(("count", "words"), [(1, "1 wrong answer"), (2, "2 wrong answers")])
def test_a_run_that_fails_for_wrong_answers_says_so(count: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(*_: Any, **__: Any) -> Report:
        latency = Histogram.of([10**7] * 100)
        tally = Tally(0, 10**9, latency, latency, errors={"wrong answer": count})
        found = report()
        return replace(found, points=(make_point(Load("rate", 100), found.settings, [tally], 1, agreed=True),))

    monkeypatch.setattr("tritonforge.report.sweep.sweep", measured)
    result = CliRunner().invoke(app, ["perf", "echo", "--url", "http://127.0.0.1:1", "--max-errors", "50%"])
    assert result.exit_code == 1, result.output
    assert result.output.endswith(f"rate 100: {words}: any is too many, whatever --max-errors allows\n")


@pytest.mark.parametrize("kind", [ServerGone, GeneratorGone])
def test_what_goes_away_before_the_first_figures_is_no_misuse(
    kind: type[LoadFailed], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise kind("it went away")

    monkeypatch.setattr("tritonforge.report.sweep.sweep", gone)
    result = CliRunner().invoke(app, ["perf", "echo", "--url", "http://127.0.0.1:1"])
    words = "it went away; there are no figures, as no window was over before; shorter ones (--window) lose less\n"
    assert (result.exit_code, result.output) == (4, words)


def test_the_help_has_the_defaults_of_the_settings() -> None:
    settings, data = Settings("http://127.0.0.1:1", ()), Data()
    told = " ".join(CliRunner().invoke(app, ["perf", "measure", "--help"], env={"COLUMNS": "80"}).output.split())
    for option, default in {
        "--arrivals": settings.arrivals,
        "--gamma-shape": settings.gamma_shape,
        "--burst": settings.burst,
        "--max-in-flight": settings.max_in_flight,
        "--payloads": data.payloads,
        "--string-length": data.string_length,
        "--tolerance": "1e-4",
        "--body": settings.body,
        "--shared-memory": settings.shared_memory,
        "--warmup": settings.warmup_s,
        "--ramp": settings.ramp_s,
        "--stability": settings.stability,
        "--stable-windows": settings.stable_windows,
        "--max-windows": settings.max_windows,
        "--processes": settings.processes,
        "--timeout": settings.timeout_s,
        "--seed": settings.seed,
    }.items():
        words = f"{default:g}" if isinstance(default, float) else str(default)
        assert re.search(rf" {option} <[^\[]*\[default: {words}[\],]", told), option
    assert data.tolerance == 1e-4


@pytest.mark.parametrize(
    ("rates", "words", "tile"),
    [
        ((100.0, 150.0, 160.0), "knee: concurrency 2\n", ["2"]),
        (
            (100.0, 250.0, 800.0),
            "knee: not reached: throughput / latency still rises at concurrency 4\n",
            ["not reached"],
        ),
        ((100.0, 150.0), "", []),
    ],
)
def test_the_knee_of_a_sweep_is_within_it(
    rates: tuple[float, ...], words: str, tile: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a mean latency by Little's law."""

    def measured(*_: Any, **__: Any) -> Report:
        points = []
        for load, rate in zip((1, 2, 4), rates, strict=False):
            latency = Histogram.of([int(load / rate * 1e9)] * int(rate))
            lasted = [Tally(0, 10**9, latency, latency)]
            found = make_point(Load("concurrency", load), report().settings, lasted, 1, agreed=True)
            points.append(found)
        return replace(report(), points=tuple(points), knee=find_knee(points))

    monkeypatch.setattr("tritonforge.report.sweep.sweep", measured)
    result = CliRunner().invoke(app, ["perf", "echo", "--url", "http://127.0.0.1:1"])
    assert result.exit_code == 0, result.output
    assert words in result.stdout
    assert ("knee" in result.stdout) is bool(words)
    assert [each.figure for each in tiles(measured()) if each.name == "Knee"] == tile


@pytest.mark.parametrize(
    ("found", "words", "note"),
    [
        ({}, "none", None),
        ({"best": Load("rate", 40)}, "rate 40", "rate"),
        (
            {"best": Load("rate", 40), "at_end": True},
            "rate 40, the end of the range: the server may take more",
            "rate, the end of the range: the server may take more",
        ),
        (
            {"best": Load("rate", 40), "complete": False},
            "rate 40 so far; the search was not finished",
            "rate, so far: the search was not finished",
        ),
    ],
)
def test_what_a_search_found_is_no_limit_where_the_range_ends(
    found: dict[str, Any], words: str, note: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    latency = Histogram.of([10**7] * 9)
    point = make_point(Load("rate", 40), report().settings, [Tally(0, 10**9, latency, latency)], 1, agreed=True)
    searched = replace(report(), points=(point,), **found)
    monkeypatch.setattr("tritonforge.report.sweep.sweep", lambda *_, **__: searched)
    options = ["--url", "http://127.0.0.1:1", "--rate", "10:40", "--slo", "p99=5ms", "--find-max"]
    result = CliRunner().invoke(app, ["perf", "echo", *options])
    assert f"greatest load that meets p99=5ms: {words}\n" in result.stdout
    assert next((tile.note for tile in tiles(searched) if tile.name.startswith("Greatest")), None) == note
    assert searched.to_json()["at_end"] is searched.at_end


def test_a_baseline_that_is_missing_is_told_by_its_option() -> None:
    result = CliRunner().invoke(app, ["perf", "echo", "--url", "http://127.0.0.1:1", "--baseline", "/no/base.json"])
    assert (result.exit_code, result.output) == (2, "--baseline: /no/base.json: No such file or directory\n")


def test_an_older_picture_beside_a_run_without_one_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left: an earlier run may be all that there is to see."""
    file = tmp_path / "plot.svg"
    failed = nothing_succeeded(131)
    monkeypatch.setattr("tritonforge.report.sweep.sweep", lambda *_, **__: failed)
    arguments = ["perf", "echo", "--url", "http://127.0.0.1:1", "--svg", str(file)]
    said = f"--svg: {file} is not written: nothing to plot: no request succeeded within a window"
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1, result.output
    assert said in result.stderr.splitlines()
    file.write_text("<svg/>")
    assert f"{said}; what is there is of an earlier run" in CliRunner().invoke(app, arguments).stderr.splitlines()
    assert file.read_text() == "<svg/>"


def nothing_succeeded(failed: int) -> Report:
    lasted = [Tally(0, 10**9, Histogram(), Histogram(), errors={"HTTP 500": failed})]
    point = make_point(Load("concurrency", 1), report().settings, lasted, 1, agreed=True)
    return replace(report(), points=(point,))


@pytest.mark.parametrize(("size", "told"), [(1 << 20, False), (9 << 20, True)])
def test_of_rows_that_take_long_to_prepare_that_is_said(
    size: int, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tritonforge.report.sweep.sweep", lambda *_, **__: report())
    (tmp_path / "rows.jsonl").write_bytes(b" " * size)
    options = ["--url", "http://127.0.0.1:1", "--data", str(tmp_path / "rows.jsonl")]
    result = CliRunner().invoke(app, ["perf", "echo", *options])
    assert ("a request is prepared of each row before the load begins" in result.stderr) is told


def test_input_is_not_replaced(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"x": 1}')
    options = ["--url", "http://127.0.0.1:1", "--data", str(rows), "--csv", str(rows)]
    result = CliRunner().invoke(app, ["perf", "echo", *options])
    assert result.exit_code == 2
    assert result.stderr == f"--csv: {rows} can't be written: --data is read from there; name another file\n"
    assert rows.read_text() == '{"x": 1}'


def test_a_report_on_standard_output_is_alone_there(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tritonforge.report.sweep.sweep", lambda *_, **__: nothing_succeeded(131))
    result = CliRunner().invoke(app, ["perf", "echo", "--url", "http://127.0.0.1:1", "--json", "/dev/stdout"])
    measured = Report.from_json(json.loads(capfd.readouterr().out))
    assert [point.failed for point in measured.points] == [131]
    assert (result.exit_code, result.stdout) == (1, "")
    assert "wrote /dev/stdout\nconcurrency 1: 100.0 % of the requests failed, more than" in result.stderr


@pytest.mark.parametrize(("measured", "code"), [(report(), 0), (nothing_succeeded(131), 1)])
def test_a_reader_that_has_gone_changes_no_exit_code(
    measured: Report, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("tritonforge.report.sweep.sweep", lambda *_, **__: measured)
    monkeypatch.setattr("tritonforge.cli.perf_execute.typer.echo", gone)
    out = tmp_path / "out.json"
    result = CliRunner().invoke(app, ["perf", "echo", "--url", "http://127.0.0.1:1", "--json", str(out)])
    assert (result.exit_code, result.output) == (code, "")
    assert Report.from_json(json.loads(out.read_text())).points == measured.points
