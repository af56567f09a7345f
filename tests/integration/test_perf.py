"""`tritonforge perf` on a real server: figures, files, exit codes, comparison, scenarios, and the pytest plugin."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tritonforge.cli import app
from tritonforge.report import read_report
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
    result = perf("double", str(echo_repository), "--protocol", "http,grpc", *QUICK, "--json", str(out))
    assert result.exit_code == 0, result.output
    assert [point.protocol for point in read_report(out).points] == ["http", "grpc"]
    assert "concurrency 1, grpc" in result.stdout


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
        (["nothing", "--url", "{url}"], "nothing"),
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
    result = perf(*(word.format(url=server.http_url) for word in arguments))
    assert result.exit_code == 2
    assert reason in " ".join(result.output.replace("│", " ").split())


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
        assert each["stats"]["ops"] == pytest.approx(each["extra_info"]["throughput"], rel=0.5)


@pytest.mark.parametrize("without", ["no:benchmark", "no:tritonforge"])
def test_a_users_pytest_runs_without_either_plugin(without: str, server: Server, tmp_path: Path) -> None:
    suite = SUITE if without == "no:benchmark" else "def test_nothing(): pass"
    (tmp_path / "test_users_own.py").write_text(suite.format(url=server.http_url))
    result = pytest_in(tmp_path, "-p", without)
    assert result.returncode == 0, result.stdout + result.stderr
