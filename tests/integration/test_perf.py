"""`tritonforge perf` on a real server: figures, files, exit codes, comparison, scenarios, and the pytest plugin."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from repositories import ECHO, FREE_PORTS, write_model
from typer.testing import CliRunner, Result

from tritonforge.cli import app
from tritonforge.report import read_report, write_report
from tritonforge.server import Server

QUICK = ("--requests", "60", "--window", "60", "--warmup", "0")
"""One window that ends with its last request, however slow the machine is."""


def perf(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["perf", *arguments], env={"TRITONFORGE_URL": None})


def test_a_sweep_is_shown_and_written_in_every_form(server: Server, tmp_path: Path) -> None:
    files = {kind: tmp_path / f"out.{kind}" for kind in ("json", "csv", "html", "svg")}
    wanted = [word for kind, path in files.items() for word in (f"--{kind}", str(path))]
    result = perf("echo", "--url", server.http_url, "--concurrency", "1,2", *QUICK, *wanted)
    assert result.exit_code == 0, result.output
    assert [line.split()[:2] for line in result.stdout.splitlines()[1:3]] == [
        ["concurrency", "1"],
        ["concurrency", "2"],
    ]
    report = read_report(files["json"])
    assert [point.load.value for point in report.points] == [1, 2]
    for point in report.points:
        assert point.failed == 0
        assert point.throughput.value > 0
        assert 0 < point.latency.p50_us.value <= point.latency.p99_us.value
        # The run may end between a request's count here and there.
        assert point.server[0].requests == pytest.approx(point.requests, abs=4)
        assert 0 < point.in_flight <= point.load.value * 1.2
    rows = list(csv.DictReader(files["csv"].read_text().splitlines()))
    assert [row["Concurrency"] for row in rows] == ["1", "2"]
    assert files["html"].read_text().startswith("<!doctype html>")
    assert files["svg"].read_text().startswith("<svg")


def test_both_protocols_are_in_one_report(echo_repository: Path, tmp_path: Path) -> None:
    """A repository instead of a URL is served for the run."""
    out = tmp_path / "out.json"
    files = ("--json", str(out), "--csv", str(tmp_path / "out.csv"))
    result = perf("double", str(echo_repository), "--protocol", "http,grpc", *QUICK, *files)
    assert result.exit_code == 0, result.output
    assert [point.protocol for point in read_report(out).points] == ["http", "grpc"]
    assert "concurrency 1, grpc" in result.stdout
    for protocol in ("http", "grpc"):
        assert f"wrote {tmp_path / f'out-{protocol}.csv'}" in result.stdout
        assert len((tmp_path / f"out-{protocol}.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize(("slo", "code"), [("p99=60s", 0), ("p50=1us", 1)])
def test_an_objective_decides_the_exit_code(slo: str, code: int, server: Server) -> None:
    result = perf("echo", "--url", server.http_url, *QUICK, "--slo", slo)
    assert result.exit_code == code, result.output
    assert ("missed" in result.stdout) is bool(code)


def test_a_search_finds_what_meets_the_objective(server: Server) -> None:
    found = perf("echo", "--url", server.http_url, *QUICK, "--concurrency", "1:2", "--find-max", "--slo", "max=60s")
    assert found.exit_code == 0, found.output
    assert "greatest load that meets max=60s: concurrency 2" in found.stdout
    none = perf("echo", "--url", server.http_url, *QUICK, "--concurrency", "1:2", "--find-max", "--slo", "p50=1us")
    assert none.exit_code == 1
    assert "greatest load that meets p50=1us: none" in none.stdout


def test_figures_that_never_agree_are_unstable(server: Server) -> None:
    options = ("--window", "0.05", "--warmup", "0", "--stability", "0", "--requests", "1000")
    result = perf("echo", "--url", server.http_url, *options)
    assert result.exit_code == 3, result.output
    assert "not stable" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["ecko", "--url", "{url}"], "has no model 'ecko'; did you mean echo"),
        (["nothing", "--url", "{url}"], "has no model 'nothing'; it serves "),
        (["echo", "--url", "{metrics}"], "names no model; is this the HTTP port of a Triton server?"),
        (["echo", "--url", "{grpc}"], "is this its HTTP port?"),
        (["echo", "--url", "{url}", "--sequence-length", "3"], "echo takes no sequences"),
        (["echo", "--url", "{url}", "--shape", "no=3"], "shape no: no input of echo"),
        (["echo", "--url", "{url}", "--warmup", "-1"], "--warmup is -1; it is at least 0"),
        (["echo", "--url", "{url}", "--string-length", "4"], "--string-length: no input of echo is of strings"),
        (["echo", "--url", "{url}", "--json", "a", "--html", "./a"], "--html: a can't be written: --json is written"),
        (["echo", "--url", "{url}", "--url", "{url}"], "nobody could tell their rows apart"),
        (["echo", "--url", "{url}", "--concurrency", "99999"], "concurrency 99999 has 99999 connections"),
        (["echo", "--url", "{url}", "--burst", "2"], "--burst: it says nothing without --rate"),
        (["echo", "--url", "{url}", "--html", "-"], "--html: - can't be written: standard output has the tables"),
        (["echo", "--url", "{url}", "--html", "/proc/a.html"], "--html: /proc/a.html can't be written"),
        (["echo", "--url", "{url}", "--json", "/"], "--json: / can't be written: it is a folder"),
        (["echo", "--url", "http://127.0.0.1:1"], "127.0.0.1"),
        (["echo", "--concurrency", "none"], "--concurrency: 'none'"),
        (["echo", "no_such_folder"], "no_such_folder does not exist"),
        (["echo", "--find-max"], "a search needs an objective"),
        (["echo", "--bodies", "json"], "No such option"),
        (["run", "nowhere.toml"], "nowhere.toml is no file"),
        (["compare", "a.json", "http://127.0.0.1:1"], "give URLs alone, or reports alone"),
        (["compare", "http://127.0.0.1:1", "http://127.0.0.1:1"], "live servers need the model's name"),
        (["compare", "nowhere.json", "nowhere.json"], "nowhere.json"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_misuse_exits_with_2(arguments: list[str], reason: str, server: Server) -> None:
    metrics, grpc = server.metrics_url.removesuffix("/metrics"), server.grpc_url.replace("grpc", "http")
    result = perf(*(word.format(url=server.http_url, metrics=metrics, grpc=grpc) for word in arguments))
    assert result.exit_code == 2
    assert reason in " ".join(result.output.replace("│", " ").split())


def test_a_url_that_nobody_answers_at_is_told_before_another_is_measured(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    urls = ("--url", server.http_url, "--url", "grpc://127.0.0.1:1")
    result = perf("echo", *urls, *QUICK, "--json", str(out))
    assert result.exit_code == 2
    assert "is this its gRPC port?" in result.output
    assert "concurrency 1" not in result.output
    assert not out.exists()


def test_failed_requests_fail_the_run_beyond_a_limit(tmp_path: Path) -> None:
    picky = "inputs = [x if (x >= 0).all() else 1 / 0 for x in inputs]"
    write_model(tmp_path / "repository", "picky", ECHO.replace("        return", f"        {picky}\n        return"))
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"x": 1.0}\n{"x": -1.0}\n')
    wanted = ("picky", str(tmp_path / "repository"), *QUICK, "--data", str(rows))
    result = perf(*wanted)
    assert result.exit_code == 1, result.output
    assert "concurrency 1: 50.0 % of the requests failed, more than --max-errors 1%" in result.stdout
    assert "without the 30 requests that failed" in result.stdout
    assert perf(*wanted, "--max-errors", "60%").exit_code == 0


def test_restricted_inference_is_opened_by_a_header(tmp_path: Path) -> None:
    """By another name over gRPC. A file of the key does for both, and keeps it off the command line and the report."""
    (tmp_path / "key").write_text("sesame-open\n")
    own = ["--key-file", str(tmp_path / "key"), "--json", str(tmp_path / "report.json")]
    write_model(tmp_path / "repository", "echo", ECHO)
    restricted: dict[str, Any] = {"restricted_apis": ("inference",), "restricted_key": "sesame-open"}
    with Server.embedded(tmp_path / "repository", exit_timeout_s=0, **FREE_PORTS, **restricted) as closed:
        for url, name in ((closed.http_url, "triton-key"), (closed.grpc_url, "triton-grpc-protocol-triton-key")):
            result = perf("echo", "--url", url, *QUICK)
            assert result.exit_code == 1
            assert f"expecting header '{name}'; it is the key: --key-file" in result.stdout
            assert perf("echo", "--url", url, *QUICK, "--header", f"{name}: sesame-open").exit_code == 0
            assert perf("echo", "--url", url, *QUICK, *own).exit_code == 0
            assert "sesame-open" not in (tmp_path / "report.json").read_text()
        live = ["--model", "echo", "--concurrency", "1", "--pairs", "1", *own[:2]]
        compared = CliRunner().invoke(app, ["perf", "compare", closed.http_url, closed.grpc_url, *live])
        assert "failed" not in compared.stdout, compared.output


def test_a_wrong_answer_fails_the_run(server: Server, tmp_path: Path) -> None:
    """`echo` gives what it gets."""
    for answer, code in ((1.0, 0), (2.0, 1)):
        rows = tmp_path / "rows.jsonl"
        rows.write_text('{"x": 1.0, "expected:y": 1.0}\n' + json.dumps({"x": 1.0, "expected:y": answer}) + "\n")
        result = perf("echo", "--url", server.http_url, *QUICK, "--data", str(rows), "--check")
        assert result.exit_code == code, result.output
        assert ("wrong answer" in result.stdout) is bool(code)


def test_a_file_that_cannot_be_written_costs_no_other(server: Server, tmp_path: Path) -> None:
    """The folder is taken away while the load runs, as far as anyone can tell beforehand."""
    gone, kept = Path("/proc/nobody/out.json"), tmp_path / "out.csv"
    result = perf("echo", "--url", server.http_url, *QUICK, "--json", str(gone), "--csv", str(kept))
    assert result.exit_code == 2
    assert f"--json: {gone} " in result.output
    if "can't be written" not in result.output:  # nobody but root may try
        assert f"wrote {kept}" in result.stdout
        assert kept.read_text().startswith("Concurrency,")


@pytest.mark.parametrize("more", [(), ("--no-server-statistics",)], ids=["statistics", "without"])
def test_a_server_that_dies_costs_no_load_that_was_measured(
    more: tuple[str, ...], echo_repository: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    options = ["--concurrency", "1:1000", "--duration", "0.5", "--window", "0.1", "--warmup", "0", "--json", str(out)]
    with Server.embedded(echo_repository, http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as dying:
        command = [sys.executable, "-m", "tritonforge", "perf", "echo", "--url", dying.http_url, *options, *more]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            assert running.stderr is not None
            assert running.stderr.readline().startswith("concurrency 1 ")
            dying.stop()
            said = running.communicate(timeout=60)
    assert running.returncode == 4, said
    assert "\nended at concurrency " in f"\n{said[1]}"
    assert "; the figures are of what was measured until then" in said[1]
    assert read_report(out).points[0].requests > 0


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_ctrl_c_and_sigterm_keep_what_was_measured(
    number: int, code: int, word: str, server: Server, tmp_path: Path
) -> None:
    """A terminal sends it to all of the foreground, `timeout` and a cancelled job to more."""
    out, export = tmp_path / "out.json", tmp_path / "requests.json"
    options = ["--concurrency", "1:1000", "--duration", "0.2", "--window", "0.1", "--warmup", "0"]
    files = ["--json", str(out), "--profile-export", str(export)]
    command = [sys.executable, "-m", "tritonforge", "perf", "echo", "--url", server.http_url, *options, *files]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stderr is not None
        assert running.stderr.readline().startswith("concurrency 1 ")
        os.killpg(running.pid, number)
        said = running.communicate(timeout=60)
    assert running.returncode == code, said
    assert f"{word} at concurrency " in said[1]
    assert "; the figures are of what was measured until then" in said[1]
    assert "Traceback" not in said[1]
    assert read_report(out).points[0].requests > 0
    assert json.loads(export.read_text())["experiments"][0]["requests"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "requests.json"]


def test_a_full_disk_costs_the_export_alone(server: Server, tmp_path: Path) -> None:
    """Or here a limit on the size of files."""
    export = tmp_path / "requests.json"
    perf_echo = [sys.executable, "-m", "tritonforge", "perf", "echo", "--url", server.http_url, *QUICK]
    limited = ["sh", "-c", 'ulimit -f 1; exec "$@"', "sh", *perf_echo, "--profile-export", str(export)]
    result = subprocess.run(limited, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2, result.stderr
    assert f"--profile-export: {export} is not written: [Errno 27] File too large" in result.stderr
    assert result.stdout.splitlines()[1].startswith("concurrency 1 ")
    assert "wrote" not in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_search_that_is_interrupted_tells_the_best_so_far(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    options = ["--concurrency", "1:4096", "--duration", "0.2", "--warmup", "0", "--find-max", "--slo", "p99=60s"]
    command = [sys.executable, "-m", "tritonforge", "perf", "echo", "--url", server.http_url, *options]
    with subprocess.Popen(
        [*command, "--json", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        assert running.stderr is not None
        assert running.stderr.readline().startswith("concurrency 1 ")
        os.killpg(running.pid, signal.SIGINT)
        said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    report = read_report(out)
    assert report.best is not None
    assert f"greatest load that meets p99=60s: {report.best} so far; the search was not finished" in said[0]


def test_a_baseline_of_another_model_is_refused_before_any_load(server: Server, tmp_path: Path) -> None:
    base, out = tmp_path / "base.json", tmp_path / "out.json"
    assert perf("echo", "--url", server.http_url, *QUICK, "--json", str(base)).exit_code == 0
    result = perf("other", "--url", server.http_url, *QUICK, "--baseline", str(base), "--json", str(out))
    assert result.exit_code == 2
    assert result.output == f"two models are not compared: {base} is of echo, this run of other\n"
    assert not out.exists()


def test_live_servers_at_which_nothing_succeeds_are_failing(tmp_path: Path) -> None:
    write_model(tmp_path / "repository", "broken", ECHO.replace("        return", "        1 / 0\n        return"))
    with Server.embedded(tmp_path / "repository", http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as both:
        sides = (both.http_url, both.grpc_url)
        result = perf("compare", *sides, "--model", "broken", "--pairs", "2", "--window", "0.1")
        with_errors = perf(
            "compare", *sides, "--model", "broken", "--pairs", "2", "--window", "0.1", "--max-errors", "1"
        )
    assert result.exit_code == 1, result.output
    assert "1 load: 1 failing; more requests fail than 1 %: 100.0 % at concurrency 1" in result.stdout
    assert with_errors.exit_code == 3, with_errors.output
    assert "1 load: 1 not measured" in with_errors.stdout


def test_a_gate_of_a_short_run_is_judged(server: Server, tmp_path: Path) -> None:
    """A baseline that is ten times as good, over the windows of the shortest measurement."""
    base = tmp_path / "base.json"
    wanted = ("echo", "--url", server.http_url, "--duration", "0.5", "--warmup", "0")
    assert perf(*wanted, "--json", str(base)).exit_code == 0
    report = read_report(base)
    assert len(report.points[0].windows) == 10
    windows = tuple(replace(window, throughput=window.throughput * 10) for window in report.points[0].windows)
    better = replace(report, points=(replace(report.points[0], windows=windows),))
    write_report(better, base, "json")
    result = perf(*wanted, "--baseline", str(base), "--max-regression", "5%")
    assert result.exit_code in (1, 3), result.output
    assert "is ruled out" not in result.stdout
    other = perf(*wanted, "--concurrency", "2", "--baseline", str(base), "--max-regression", "5%")
    assert other.exit_code == 2
    assert other.output.startswith("no load is in both reports"), "it is refused before it is measured"


def test_ctrl_c_keeps_the_rounds_of_live_servers(server: Server, tmp_path: Path) -> None:
    markdown = tmp_path / "comparison.md"
    options = ["--model", "echo", "--pairs", "100000", "--window", "0.05", "--markdown", str(markdown)]
    code = "import sys; sys.stderr.isatty = lambda: True; from tritonforge.cli import app; app()"
    command = [sys.executable, "-c", code, "perf", "compare", server.http_url, server.grpc_url, *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stderr is not None
        said = ""
        while " 2 of 100000 rounds" not in said:
            said += (got := running.stderr.read(1))
            assert got, said
        os.killpg(running.pid, signal.SIGINT)
        out, rest = running.communicate(timeout=60)
    assert running.returncode == 130, rest
    assert "interrupted; the figures are of the rounds until then" in rest
    assert "Traceback" not in rest
    assert "concurrency 1  throughput" in out
    assert f"`{server.grpc_url}` beside `{server.http_url}`" in markdown.read_text()


def test_live_servers_take_turns(server: Server, tmp_path: Path) -> None:
    markdown = tmp_path / "pr" / "comparison.md"
    result = perf(
        "compare", server.http_url, server.grpc_url, "--model", "echo", "--pairs", "11", "--window", "0.1",
        "--markdown", str(markdown),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert f"`{server.grpc_url}` beside `{server.http_url}`" in markdown.read_text()
    assert "too few windows" not in result.stdout


def test_a_scenario_is_run_and_written(echo_repository: Path, tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(
        f'model = "echo"\nrepository = "{echo_repository}"\nrate = "50"\narrivals = "poisson"\n'
        "requests = 20\nwindow = 60\nwarmup = 0\n"
    )
    result = perf("run", str(file), "--output", str(tmp_path / "reports"))
    assert result.exit_code == 0, result.output
    own = tmp_path / "own.html"
    file.write_text(f'{file.read_text()}html = "own.html"\njson = "reports/sweep.json"\n')
    both = perf("run", str(file), "--output", str(tmp_path / "reports"))
    assert both.exit_code == 0, both.output
    assert both.stdout.count("sweep.json") == 1
    assert own.read_text() == (tmp_path / "reports" / "sweep.html").read_text()
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == ["sweep.csv", "sweep.html", "sweep.json"]
    file.write_text('model = "echo"\nrates = "50"\n')
    assert perf("run", str(file)).exit_code == 2


SUITE = """
def test_sweep(perf_sweep):
    report = perf_sweep("echo", url="{url}", concurrency="1,2", requests=30, window=60, warmup=0)
    assert [point.load.value for point in report.points] == [1, 2]
"""


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_plugin_stores_each_load_as_a_benchmark(server: Server, tmp_path: Path) -> None:
    (tmp_path / "test_users_own.py").write_text(SUITE.format(url=server.http_url))
    result = pytest_in(tmp_path, "--benchmark-only", "--benchmark-json", "out.json")
    assert result.returncode == 0, result.stdout + result.stderr
    stored = json.loads((tmp_path / "out.json").read_text())["benchmarks"]
    assert [each["name"] for each in stored] == [
        "test_sweep [echo, concurrency 1, http]",
        "test_sweep [echo, concurrency 2, http]",
    ]
    for each in stored:
        assert each["stats"]["rounds"] == 1
        assert each["stats"]["ops"] == pytest.approx(each["extra_info"]["throughput"], rel=1e-6)


def test_sweeps_of_one_test_have_names_of_their_own(server: Server, tmp_path: Path) -> None:
    (tmp_path / "test_users_own.py").write_text(
        f"""
def test_sweep(perf_sweep, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{{"x": 1.0}}')
    for options in ({{}}, {{"batch_size": 8}}, {{"data": str(rows), "body": "json"}}, {{"header": "a: b"}}):
        perf_sweep("echo", url="{server.http_url}", requests=30, window=60, warmup=0, **options)
"""
    )
    result = pytest_in(tmp_path, "--benchmark-only", "--benchmark-json", "out.json")
    assert result.returncode == 0, result.stdout + result.stderr
    stored = json.loads((tmp_path / "out.json").read_text())["benchmarks"]
    assert [each["name"].removeprefix("test_sweep ") for each in stored] == [
        "[echo, concurrency 1, http]",
        "[echo, batch_size=8, concurrency 1, http]",
        "[echo, data=rows.jsonl, body=json, concurrency 1, http]",
        "[echo, concurrency 1, http, 2]",
    ]


@pytest.mark.parametrize("without", ["no:benchmark", "no:tritonforge"])
def test_a_users_pytest_runs_without_either_plugin(without: str, server: Server, tmp_path: Path) -> None:
    suite = SUITE if without == "no:benchmark" else "def test_nothing(): pass"
    (tmp_path / "test_users_own.py").write_text(suite.format(url=server.http_url))
    result = pytest_in(tmp_path, "-p", without)
    assert result.returncode == 0, result.stdout + result.stderr
