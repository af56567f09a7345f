"""`tritonforge perf compare` on saved reports: what it prints, and its exit codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tritonforge.cli import app
from tritonforge.load import Load
from tritonforge.report import write_report

from .sample_report import report


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with base.json, again.json (the same server) and slow.json (30 % slower)."""
    folder = tmp_path_factory.mktemp("reports")
    for name, made in {"base": report(), "again": report(seed=1), "slow": report(seed=2, slower=1.3)}.items():
        write_report(made, folder / f"{name}.json", "json")
    return folder


@pytest.fixture
def reports(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have these reports in the working directory."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def compare(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["perf", "compare", *arguments])


@pytest.mark.usefixtures("reports")
def test_a_regression_exits_with_1_where_a_limit_is_set() -> None:
    assert compare("base.json", "slow.json").exit_code == 0
    result = compare("base.json", "slow.json", "--max-regression", "5%")
    assert result.exit_code == 1
    assert "slow.json beside base.json" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("7 loads: 7 worse; ")
    assert " regressions beyond 5 %: throughput at concurrency 1 (-23.3 %), " in result.stdout.splitlines()[-1]
    assert compare("base.json", "slow.json", "--max-regression", "60%").exit_code == 0


@pytest.mark.usefixtures("reports")
@pytest.mark.parametrize(("new", "code"), [("again", 0), ("slow", 1)])
def test_a_reader_that_has_gone_changes_no_exit_code(new: str, code: int) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "tritonforge", "perf", "compare", "base.json", f"{new}.json"]
    options = ["--max-regression", "5%", "--json", "out.json"]
    try:
        done = subprocess.run([*command, *options], stdout=write, stderr=subprocess.PIPE, timeout=60, check=False)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (code, b"")
    assert json.loads(Path("out.json").read_text())["format"] == 1


@pytest.mark.usefixtures("reports")
def test_a_file_that_is_standard_output_is_alone_there(capfd: pytest.CaptureFixture[str]) -> None:
    result = compare("base.json", "again.json", "--json", "/dev/stdout")
    assert json.loads(capfd.readouterr().out)["comparisons"][0]["headline"] == result.stderr.splitlines()[-1]
    assert result.stdout == ""


@pytest.mark.usefixtures("reports")
def test_the_same_server_passes() -> None:
    result = compare("base.json", "again.json", "--max-regression", "5%")
    assert result.exit_code == 0, result.output
    assert "; no regression beyond 5 % was shown; the intervals of " in result.stdout
    assert " worse" not in result.stdout


@pytest.mark.usefixtures("reports")
def test_what_looks_worse_and_is_not_sure_to_be_has_not_passed() -> None:
    """A copy whose windows are each a tenth slower, of windows that vary by more."""
    made = report()
    for name, factor in (("wide", 1.0), ("tenth", 0.9)):
        windows = tuple(
            replace(window, throughput=1000 * factor * rate, measured=True)
            for window, rate in zip(made.points[0].windows, (1.0, 1.3, 0.8, 1.2, 0.9, 1.0), strict=True)
        )
        write_report(replace(made, points=(replace(made.points[0], windows=windows),)), Path(f"{name}.json"), "json")
    result = compare("wide.json", "tenth.json", "--max-regression", "5%")
    assert result.exit_code == 3, result.output
    words = (
        "no regression beyond 5 % was shown; one can't be ruled out of throughput at concurrency 1 (-10.0 %, unsure)"
    )
    assert words in result.stdout.splitlines()[-1]
    assert compare("wide.json", "wide.json", "--max-regression", "5%").exit_code == 0
    assert compare("wide.json", "tenth.json").exit_code == 0


@pytest.mark.usefixtures("reports")
def test_json_has_ratios_intervals_verdicts_and_settings() -> None:
    result = compare("base.json", "again.json", "slow.json", "--max-regression", "5%", "--json", "new/out.json")
    assert result.exit_code == 1, result.output
    found = json.loads(Path("new/out.json").read_text())
    assert found["rules"] == {
        "confidence": 0.99, "same_within": 0.03, "max_regression": 0.05, "max_errors": 0.01, "strict": False,
    }  # fmt: skip
    again, slow = found["comparisons"]
    assert (slow["base"]["name"], again["new"]["name"], slow["new"]["name"]) == ("base.json", "again.json", "slow.json")
    assert slow["new"]["settings"]["models"][0]["name"] == "fraud"
    assert "secret" not in json.dumps(found)
    first = slow["loads"][0]
    assert (first["load"], first["verdict"], first["windows"]) == ("concurrency 1", "worse", {"base": 3, "new": 3})
    figure = first["figures"]["throughput"]
    assert figure["low"] < figure["ratio"] < figure["high"] < 1
    assert (figure["verdict"], figure["regression"], figure["undecided"], figure["ruled_out"]) == (
        "worse", True, False, False,
    )  # fmt: skip
    assert slow["headline"] == result.stdout.splitlines()[-1]


@pytest.mark.usefixtures("reports")
def test_an_interval_that_tells_nothing_is_null_in_json() -> None:
    made = report()
    one = tuple(replace(point, windows=point.windows[-1:]) for point in made.points)
    write_report(replace(made, points=one), Path("one.json"), "json")
    assert compare("one.json", "base.json", "--json", "out.json").exit_code == 0
    figure = json.loads(Path("out.json").read_text())["comparisons"][0]["loads"][0]["figures"]["p50"]
    assert (figure["low"], figure["high"], figure["verdict"]) == (None, None, "unsure")
    assert "regression" not in figure


@pytest.mark.usefixtures("reports")
def test_a_gate_with_too_few_windows_is_not_passed() -> None:
    """One window each says nothing of noise: a server at a tenth is no pass."""
    for name, slower in (("one", 1.0), ("tenth", 10.0)):
        made = report(slower=slower)
        points = tuple(replace(point, windows=point.windows[-1:]) for point in made.points)
        write_report(replace(made, points=points), Path(f"{name}.json"), "json")
    result = compare("one.json", "tenth.json", "--max-regression", "5%")
    assert result.exit_code == 3, result.output
    assert "; no regression beyond 5 % was shown; one can't be ruled out of throughput at " in result.stdout
    assert ", too few windows) and 18 more: measure longer" in result.stdout
    assert compare("one.json", "tenth.json").exit_code == 0


@pytest.mark.usefixtures("reports")
def test_reports_without_a_load_in_common_are_misuse() -> None:
    made = report()
    points = tuple(replace(point, load=Load("rate", 5)) for point in made.points[:1])
    write_report(replace(made, points=points), Path("rate.json"), "json")
    result = compare("base.json", "rate.json", "--max-regression", "5%")
    assert result.exit_code == 2
    assert result.output.startswith("no load is in both reports: base.json has concurrency 1 (http), ")
    assert "rate.json has rate 5 (http)" in result.output
    assert len(result.output.splitlines()) == 1


@pytest.mark.usefixtures("reports")
@pytest.mark.parametrize("limit", [[], ["--max-regression", "5%"]])
def test_a_load_at_which_nothing_succeeded_exits_with_3(limit: list[str]) -> None:
    made = report()
    none = {"requests": 0, "inferences": 0, "errors": 9, "throughput": 0.0, "p50_us": 0.0, "p99_us": 0.0}
    failed = tuple(replace(window, **none) for window in made.points[0].windows)
    write_report(replace(made, points=(replace(made.points[0], windows=failed),)), Path("dead.json"), "json")
    for sides in (("base.json", "dead.json"), ("dead.json", "dead.json")):
        result = compare(*sides, *limit)
        assert result.exit_code == 3, result.output
        assert "nothing measured" in result.stdout
        assert result.stdout.splitlines()[-1].startswith("1 load: 1 not measured")


@pytest.mark.usefixtures("reports")
def test_an_encoding_that_lacks_characters_costs_no_output() -> None:
    command = [sys.executable, "-m", "tritonforge", "perf", "compare", "base.json", "again.json"]
    said = {}
    for encoding in ("utf-8", "latin-1"):
        environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": os.pathsep.join(sys.path)}
        result = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
        assert result.returncode == 0, result.stderr
        said[encoding] = result.stdout.decode(encoding)
    assert "…" in said["utf-8"]
    assert said["latin-1"] == said["utf-8"].replace("…", "\\u2026")


@pytest.mark.usefixtures("reports")
def test_several_are_each_compared_with_the_base() -> None:
    result = compare("base.json", "again.json", "slow.json", "--max-regression", "5%")
    assert result.exit_code == 1
    assert [line for line in result.stdout.splitlines() if " beside " in line] == [
        "fraud: again.json beside base.json",
        "fraud: slow.json beside base.json",
    ]


@pytest.mark.usefixtures("reports")
def test_markdown_is_printed_alone_or_written_beside() -> None:
    alone = compare("base.json", "slow.json", "--markdown", "-")
    assert alone.stdout.startswith("### 7 loads: ")
    assert "\n`fraud`: `slow.json` beside `base.json`\n" in alone.stdout
    compare("base.json", "slow.json", "--markdown", "pr/comment.md")
    assert Path("pr/comment.md").read_text() == alone.stdout


@pytest.mark.usefixtures("reports")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["base.json", "slow.json", "--max-regression", "much"], "--max-regression: 'much' is not a share"),
        (["base.json", "slow.json", "--confidence", "200%"], "--confidence: '200%' is not a share"),
        (["base.json", "slow.json", "--confidence", "0"], "--confidence: '0' is no surer than a coin's throw"),
        (["base.json", "slow.json", "--pairs", "9"], "Invalid value for --pairs: it says nothing without live servers"),
        (["base.json", "slow.json", "--model", "m"], "Invalid value for --model: it says nothing without live servers"),
        (
            ["base.json", "slow.json", "--concurrency", "2"],
            "Invalid value for --concurrency: it says nothing without live servers",
        ),
        (["base.json", "other.json"], "other.json"),
        (["base.json"], "Missing argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_misuse_of_compare(arguments: list[str], reason: str) -> None:
    Path("other.json").write_text("{}")
    result = compare(*arguments)
    assert result.exit_code == 2
    assert reason in " ".join(result.output.replace("│", " ").split())


@pytest.mark.usefixtures("reports")
@pytest.mark.parametrize("order", [("base.json", "two.json"), ("two.json", "base.json")])
def test_a_report_with_a_load_of_two_servers_is_refused(order: tuple[str, str]) -> None:
    made = report()
    write_report(replace(made, points=(*made.points, made.points[0])), Path("two.json"), "json")
    result = compare(*order)
    assert result.exit_code == 2
    assert "two.json has concurrency 1 (http) more than once, of several servers" in result.output


@pytest.mark.usefixtures("reports")
@pytest.mark.parametrize(
    ("loads", "words"),
    [(7, "nothing to hold against 5 %"), (1, "no regression beyond 5 % was shown in what was judged; ")],
)
def test_what_was_not_measured_has_not_passed(loads: int, words: str) -> None:
    made = report()
    nothing = tuple(
        replace(point, windows=tuple(replace(window, throughput=0.0) for window in point.windows))
        for point in made.points[:loads]
    )
    write_report(replace(made, points=(*nothing, *made.points[loads:])), Path("none.json"), "json")
    result = compare("none.json", "base.json", "--max-regression", "5%")
    assert result.exit_code == 3, result.output
    assert f"; {words}" in result.stdout.splitlines()[-1]


@pytest.mark.usefixtures("reports")
@pytest.mark.parametrize(
    ("option", "file", "words"),
    [
        ("--json", "base.json", "--json: base.json can't be written: BASE is read from there; name another file"),
        ("--markdown", "slow.json", "--markdown: slow.json can't be written: NEW is read from there; name another"),
        ("--json", "again.json", "--json: again.json can't be written: what is there is not a comparison; name"),
    ],
)
def test_no_report_is_replaced(option: str, file: str, words: str) -> None:
    before = Path(file).read_bytes()
    result = compare("base.json", "slow.json", option, file)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(words)
    assert Path(file).read_bytes() == before


@pytest.mark.usefixtures("reports")
def test_a_server_that_fails_requests_has_not_passed() -> None:
    """It answers the others faster, as failures take no time."""
    write_report(report(slower=0.5, errors=3000), Path("failing.json"), "json")
    result = compare("base.json", "failing.json")
    assert result.exit_code == 1, result.output
    assert "better" not in result.stdout
    assert result.stdout.splitlines()[-1].startswith("7 loads: 7 failing; more requests fail than 1 %: ")
    assert compare("failing.json", "base.json").exit_code == 3
    assert compare("base.json", "failing.json", "--max-errors", "99%").exit_code == 0
    compare("base.json", "failing.json", "--json", "out.json")
    load = json.loads(Path("out.json").read_text())["comparisons"][0]["loads"][0]
    assert (load["verdict"], load["failed"]["base"]) == ("failing", 0)
    assert load["failed"]["new"] > 0.2


@pytest.mark.usefixtures("reports")
def test_what_is_not_ruled_out_has_not_passed_where_that_is_asked_for() -> None:
    assert compare("base.json", "again.json", "--max-regression", "5%").exit_code == 0
    result = compare("base.json", "again.json", "--max-regression", "5%", "--strict")
    assert result.exit_code == 3, result.output
    assert "can't be ruled out of" in result.stdout.splitlines()[-1]
    assert compare("base.json", "slow.json", "--max-regression", "5%", "--strict").exit_code == 1
    result = compare("base.json", "again.json", "--strict")
    assert (result.exit_code, result.stderr) == (2, "--strict: it says nothing without --max-regression\n")


@pytest.mark.usefixtures("reports")
def test_a_measurement_beside_itself_is_the_same() -> None:
    words = "note: base and new are one measurement: nothing can differ"
    Path("copy.json").write_bytes(Path("base.json").read_bytes())
    result = compare("base.json", "copy.json", "--max-regression", "0.1%", "--strict")
    assert result.exit_code == 0, result.output
    assert [line for line in result.stdout.splitlines() if line.startswith("note: ")] == [words]
    assert result.stdout.splitlines()[-1] == "7 loads: 7 same; a regression beyond 0.1 % is ruled out"
    assert words not in compare("base.json", "again.json").stdout


@pytest.mark.usefixtures("reports")
def test_what_cannot_be_written_costs_no_verdict() -> None:
    result = compare("base.json", "again.json", "--json", "/dev/full")
    assert result.exit_code == 2
    assert "--json: /dev/full is not written: [Errno 28] No space left on device\n" in result.stderr
    assert result.stdout.startswith("fraud: again.json beside base.json\n")
    assert compare("base.json", "slow.json", "--max-regression", "5%", "--json", "/dev/full").exit_code == 1
