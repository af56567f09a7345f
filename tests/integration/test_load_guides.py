"""The snippets of the guides on load and on `perf`, run as they stand but for their length, against a real Triton."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tritonforge.build import build
from tritonforge.cli import app
from tritonforge.load import ModelLoad, Report, Settings
from tritonforge.server import Server

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "guides"
FRAUD = """
import numpy as np
from jaxtyping import Float32
from tritonforge import Batching, model

@model(batching=Batching(max_batch_size=64))
def fraud(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch"]:
    return features.sum(1)
"""
BRIEF = {
    'parse_loads("1:64:x2"),': 'parse_loads("1,2"), window_s=0.1, warmup_s=0.0, duration_s=0.1,',
    'concurrency="1:16:x4", duration=3,': 'concurrency="1,2", requests=20, window=60, warmup=0,',
    'slo="p99=20ms"': 'slo="p99=20s"',
}
"""What would take long, and a bound that a busy machine misses: each must be in a guide."""
SERVED = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def fraud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("fraud")
    (folder / "fraud.py").write_text(FRAUD)
    build([folder / "fraud.py"], folder / "repository")
    with Server.embedded(folder / "repository", http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as server:
        yield server


def snippets(guide: str, url: str) -> list[str]:
    text = (GUIDES / guide).read_text(encoding="utf-8").replace(SERVED, url)
    for long, brief in BRIEF.items():
        text = text.replace(long, brief)
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_what_is_shortened_is_in_the_guides() -> None:
    text = "".join((GUIDES / guide).read_text(encoding="utf-8") for guide in ("load.md", "perf.md"))
    assert [long for long in (*BRIEF, SERVED) if long not in text] == []


def test_the_guide_on_load_runs(fraud: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for snippet in snippets("load.md", fraud.http_url):
        exec(compile(snippet, "load.md", "exec"), names)
    report, best, other = names["report"], names["best"], names["settings"]
    assert isinstance(report, Report)
    assert [point.load.value for point in report.points] == [1, 2]
    assert str(best) == "concurrency 4"
    assert (tmp_path / "requests.json").is_file()
    assert isinstance(other, Settings)  # of a server that speaks another protocol: test_plain_http loads one
    assert other.models[0].request is not None
    assert isinstance(other.models[0], ModelLoad)


def test_the_guides_test_passes(fraud: Server, tmp_path: Path) -> None:
    (test,) = snippets("perf.md", fraud.http_url)
    (tmp_path / "test_fraud.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_option_of_the_guide_is_one() -> None:
    """Each is one of perf's commands, or of up, but those of the benchmarks and of pytest-benchmark."""
    text = (GUIDES / "perf.md").read_text(encoding="utf-8").partition("## In your own tests")[0]
    commands = (["perf", "measure"], ["perf", "compare"], ["perf", "run"], ["up"])  # the last serves what is compared
    helped = "".join(
        CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"}).stdout for command in commands
    )
    assert {word for word in re.findall(r"--[a-z][a-z-]+", text) if word not in helped} == {"--apart"}
