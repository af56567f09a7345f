"""Golden samples and a real server: `verify`, `perf --data golden`, and single requests exported; both protocols."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tritonforge.build import build
from tritonforge.cli import app
from tritonforge.report import read_report
from tritonforge.server import Server

DEFINITIONS = """
import numpy as np
from jaxtyping import Float32
from tritonforge import Batching, String, model

@model(batching=Batching(max_batch_size=8))
def double(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    return x * 2

@model(batching=Batching(max_batch_size=8), examples={"x": np.array([[1, 2], [3, 4]], np.float32)})
def judge(x: Float32[np.ndarray, "batch 2"]) -> String[np.ndarray, "batch"]:
    return np.array(["big" if total > 4 else "small" for total in x.sum(1)], object)
"""
QUICK = ("--requests", "30", "--window", "60", "--warmup", "0")


@dataclass(frozen=True)
class Golden:
    """A server, what it serves, and a build of definitions that answer otherwise."""

    server: Server
    repository: Path
    changed: Path

    def url(self, protocol: str) -> str:
        return self.server.http_url if protocol == "http" else self.server.grpc_url


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Golden]:
    folder = tmp_path_factory.mktemp("golden")
    (folder / "models.py").write_text(DEFINITIONS)
    build([folder / "models.py"], folder / "repository", golden=3)
    shutil.copytree(folder / "repository", folder / "changed")
    (folder / "models.py").write_text(DEFINITIONS.replace("> 4", "> 2").replace("x * 2", "x * 3"))
    build([folder / "models.py"], folder / "changed")
    with Server.embedded(folder / "repository", http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as server:
        yield Golden(server, folder / "repository", folder / "changed")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in arguments], env={"TRITONFORGE_URL": None})


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_server_is_held_to_what_the_definitions_answered(golden: Golden, protocol: str) -> None:
    right = run("verify", golden.repository, "--url", golden.url(protocol))
    assert right.exit_code == 0, right.output
    assert right.stdout.splitlines() == ["double: 3 of 3 as built", "judge: 1 of 1 as built"]
    wrong = run("verify", golden.changed, "--url", golden.url(protocol))
    assert wrong.exit_code == 1
    assert wrong.stdout.splitlines()[0] == "double: 0 of 3 as built"
    assert "  sample 0: output \"output\" is [b'small' b'big'], expected [b'big' b'big']" in wrong.stdout


def test_a_model_whose_samples_cannot_be_read_is_told_and_the_others_go_on(golden: Golden, tmp_path: Path) -> None:
    shutil.copytree(golden.repository, tmp_path / "lacking")
    missing = tmp_path / "lacking" / "double.golden.npz"
    missing.unlink()
    result = run("verify", tmp_path / "lacking", "--url", golden.url("http"))
    assert result.exit_code == 1
    said = [f"double: {missing} is missing; put it back, or build again", "judge: 1 of 1 as built"]
    assert result.output.splitlines() == said
    (tmp_path / "lacking" / "judge.golden.npz").write_bytes(b"")
    result = run("verify", tmp_path / "lacking", "--url", golden.url("http"))
    said[1] = f"judge: {tmp_path / 'lacking' / 'judge.golden.npz'} is not the file that the build wrote; build again"
    assert (result.exit_code, result.output.splitlines()) == (1, said)


def test_a_model_that_is_not_served_is_told_and_the_others_go_on(golden: Golden, tmp_path: Path) -> None:
    shutil.copytree(golden.repository, tmp_path / "more")
    manifest = tmp_path / "more" / "tritonforge.json"
    content = json.loads(manifest.read_bytes())
    content["models"]["another"] = content["models"]["double"]
    manifest.write_text(json.dumps(content))
    result = run("verify", tmp_path / "more", "--url", golden.url("http"))
    assert result.exit_code == 1
    assert result.output.splitlines()[0].startswith("another: another at http://")
    assert result.output.splitlines()[1:] == ["double: 3 of 3 as built", "judge: 1 of 1 as built"]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_answers_of_golden_samples_are_checked_under_load(golden: Golden, protocol: str, tmp_path: Path) -> None:
    counts = []
    for repository in (golden.repository, golden.changed):
        given = ("--data", f"golden:{repository}", "--json", tmp_path / "out.json")
        result = run("perf", "judge", "--url", golden.url(protocol), *given, *QUICK)
        (point,) = read_report(tmp_path / "out.json").points
        counts.append((result.exit_code, point.requests, [(each.kind, each.count) for each in point.errors]))
    assert counts == [(0, 30, []), (1, 15, [("wrong answer", 15)])]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_every_request_is_exported(golden: Golden, protocol: str, tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    options = ("--concurrency", "1,2", "--processes", "2", "--shape", "n=3", "--profile-export", path)
    result = run("perf", "double", "--url", golden.url(protocol), *options, *QUICK)
    assert result.exit_code == 0, result.output
    first, second = json.loads(path.read_text())["experiments"]
    assert (first["experiment"], second["experiment"]["value"]) == ({"mode": "concurrency", "value": 1}, 2)
    for each in (first, second):
        # The window ends with each process's last request; those of a process that ends later are within it too.
        assert len(each["requests"]) == 30
        for request in each["requests"]:
            (answered,) = request["response_timestamps"]
            assert each["window_boundaries"][0] <= answered <= each["window_boundaries"][-1]
            assert request["timestamp"] < answered
