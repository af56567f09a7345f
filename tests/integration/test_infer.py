"""`tritonforge infer` against a real Triton."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from feature_models import write_feature_models
from repositories import write_parameter_model
from typer.testing import CliRunner

from tritonforge.cli import app
from tritonforge.server import Server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    repository = tmp_path_factory.mktemp("infer_models")
    write_feature_models(repository)
    write_parameter_model(repository, "told")
    write_parameter_model(repository, "tells", streams=True)
    with Server.embedded(repository, http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as server:
        yield server


@pytest.fixture(params=["http", "grpc"])
def infer(request, served):
    url = served.http_url if request.param == "http" else served.grpc_url

    def run(*arguments):
        return CliRunner().invoke(app, ["infer", *arguments], env={"TRITONFORGE_URL": url})

    return run


def outputs(result):
    assert result.exit_code == 0, result.stderr
    return {output["name"]: output for output in json.loads(result.stdout)["outputs"]}


def test_a_row_of_json_gets_its_batch_and_its_type(infer):
    found = outputs(infer("identity", "-i", "x_FP32=[1, 2.5, NaN]", "-i", "x_UINT8=[7]", "--format", "json"))
    assert found["y_FP32"] == {"name": "y_FP32", "datatype": "FP32", "shape": [1, 3], "data": [[1.0, 2.5, "NaN"]]}
    assert found["y_UINT8"] == {"name": "y_UINT8", "datatype": "UINT8", "shape": [1, 1], "data": [[7]]}


def test_what_json_gives_json_takes(infer, tmp_path):
    first = outputs(infer("identity", "-i", 'x_FP16=[0.1, "-Infinity"]', "-i", "x_STRING=ü", "--format", "json"))
    given = {"x" + name[1:]: output["data"] for name, output in first.items()}
    (tmp_path / "again.json").write_text(json.dumps(given))
    assert outputs(infer("identity", "-i", f"@{tmp_path / 'again.json'}", "--format", "json")) == first


def test_rank_one_tensors_take_a_list(infer):
    found = outputs(infer("scorer", "-i", "amount=[3, 1, 2]", "-i", 'title=["a", "b", "c"]', "--format", "json"))
    assert found["rank"]["data"] == [[1], [2], [0]]
    assert found["word"]["data"] == [["A"], ["B"], ["C"]]


def test_files_go_in_and_out(infer, tmp_path):
    array = np.arange(6, dtype=np.int64).reshape(2, 3)
    np.savez(tmp_path / "in.npz", x_INT64=array, x_BOOL=array > 2)
    result = infer("identity", "-i", f"@{tmp_path / 'in.npz'}", "--output-file", str(tmp_path / "out.npz"))
    assert result.exit_code == 0, result.stderr
    assert "y_INT64: INT64[2, 3]\n[[0, 1, 2],\n [3, 4, 5]]" in result.stdout
    with np.load(tmp_path / "out.npz") as found:
        assert found["y_INT64"].tolist() == array.tolist()
        assert found["y_BOOL"].tolist() == (array > 2).tolist()


PARAMETERS = ("-p", "tenant=a", "-p", "temperature=0.2", "-p", 'id="7"', "--parameter", "top=3", "-p", "raw=true")
TOLD = {"tenant": "a", "temperature": 0.2, "id": "7", "top": 3, "raw": True}


def test_parameters_reach_the_model_with_their_types(infer):
    found = outputs(infer("told", "-i", "x=1", *PARAMETERS, "--format", "json"))
    assert repr(json.loads(found["y"]["data"][0])) == repr(dict(sorted(TOLD.items())))
    assert json.loads(outputs(infer("told", "-i", "x=1", "--format", "json"))["y"]["data"][0]) == {}


def test_parameters_reach_a_stream(served):
    command = ["infer", "tells", "-i", "x=1", "--url", served.grpc_url, *PARAMETERS, "--format", "json"]
    answers = [json.loads(line)["outputs"] for line in CliRunner().invoke(app, command).stdout.splitlines()]
    assert [json.loads(output["data"][0]) for (output,) in answers] == [TOLD, TOLD]


def test_parameters_are_refused_before_the_model_is_asked_for(infer):
    result = infer("no_such_model", "-p", "x=[1]")
    assert (result.exit_code, "no_such_model" in result.stderr) == (2, False)


def test_each_response_of_a_stream_is_printed(served, tmp_path):
    def run(*arguments, url=served.grpc_url):
        return CliRunner().invoke(app, ["infer", "counter", "--url", url, *arguments])

    assert run("-i", "count=2").stdout == (
        "counter version 1\nnumber: INT32[1]\n[0]\ncounter version 1\nnumber: INT32[1]\n[1]\n"
    )
    lines = run("-i", "count=3", "--format", "json").stdout.splitlines()
    assert [json.loads(line)["outputs"][0]["data"] for line in lines] == [[0], [1], [2]]
    assert run("-i", "count=0").stdout == ""
    failed = run("-i", "count=-1")
    assert (failed.exit_code, "below zero" in failed.stderr) == (1, True)
    refused = run("-i", "count=1", url=served.http_url)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "counter streams its responses, which goes over gRPC only" in refused.stderr
    assert "--url grpc://127.0.0.1:8001" in refused.stderr
    refused = run("-i", "count=1", "--output-file", str(tmp_path / "out.npz"))
    assert (refused.exit_code, "--output-file takes one" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["identity", "-i", "x_UINT8=300"], "300 is outside UINT8's range"),
        (["identity", "-i", "x_FP31=1"], 'there is no input "x_FP31"'),
        (["identity", "-i", "x_FP32=[[[1]]]"], "FP32[1, 1, 1] given, FP32[batch, _] wanted"),
        (["moody"], 'input "x" is missing: FP32[batch, 1] wanted'),
    ],
)
def test_mistakes_are_told_before_sending_with_the_signature(infer, arguments, message):
    result = infer(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "signature: " in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mody"], "'mody' is not found; did you mean moody?"),
        (["moody", "-i", "x=1", "--version", "7"], "version 7 is not found"),
        (["moody", "-i", "x=-1"], "ValueError: boom"),
        (["adder", "-i", "x=1"], "it keeps a state between requests"),
        (["moody", "-i", "x=1", "--timeout", "0.3"], "no answer within 0.3 s"),
    ],
)
def test_errors_of_the_servers_exit_with_1(infer, arguments, message):
    result = infer(*arguments)
    assert result.exit_code == 1
    assert message in result.stderr


def test_the_command_runs_as_a_program(served, tmp_path: Path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n3,4\n")
    command = [sys.executable, "-m", "tritonforge", "infer", "identity", "--input", "x_FP32=@x.csv"]
    result = subprocess.run(
        [*command, "--url", served.http_url], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout == "identity version 1\ny_FP32: FP32[2, 2]\n[[1., 2.],\n [3., 4.]]\n"
    assert result.stderr == ""
