"""The load engine against a real server: both protocols, both loops, streams, sequences, shared memory, a stall."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from subprocess import Popen

import numpy as np
import pytest
from client_models import COUNTER, row, tensor, write
from repositories import write_parameter_model
from typer.testing import CliRunner

from tritonforge.cli import app
from tritonforge.load import (
    Data,
    InvalidLoad,
    Load,
    LoadFailed,
    ModelLoad,
    Point,
    ProfileExport,
    Report,
    Session,
    Settings,
    Slo,
    SweepInterrupted,
    SweepStopped,
    TlsFiles,
    find_max,
    sweep,
)
from tritonforge.load.address import parse_address
from tritonforge.load.input.segments import Segment
from tritonforge.load.observed.control import connect
from tritonforge.load.observed.processes import find_server
from tritonforge.load.settings import Kind
from tritonforge.server import Server

DOUBLE = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        arrays = [pb_utils.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        if any(array.size and array.flat[0] < 0 for array in arrays):
            raise ValueError("below zero")
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", array * 2)]) for array in arrays]
"""

STALL = """
import pathlib
import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.seen = 0

    def execute(self, requests):
        gate = pathlib.Path("GATE")
        self.seen = self.seen + len(requests) if gate.exists() else 0
        if self.seen >= 300:
            gate.unlink()
            time.sleep(1)
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor("y", request.inputs()[0].as_numpy())]) for request in requests
        ]
"""
"""Stalls once, amid what comes while there is a file: for each test, also one that is tried again."""

SEQUENCES = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.state = {}

    def execute(self, requests):
        responses = []
        for request in requests:
            start, end, number = (
                pb_utils.get_input_tensor_by_name(request, name).as_numpy().flat[0] for name in ("START", "END", "ID")
            )
            count = 1 if start else self.state[number] + 1
            self.state[number] = count
            if end:
                assert count == 4, count
                del self.state[number]
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("y", np.array([count], np.float32))]))
        return responses
"""

STEPS = SEQUENCES.replace(
    """            if end:
                assert count == 4, count
""",
    """            x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy().flat[0]
            assert x == count + 100 * end, (x, count, end)
            if end:
""",
)
"""Each request has its place in the sequence, the last one a hundred more."""

CONTROLS = """
sequence_batching {
  max_sequence_idle_microseconds: 60000000
  control_input { name: "START" control { kind: CONTROL_SEQUENCE_START int32_false_true: [0, 1] } }
  control_input { name: "END" control { kind: CONTROL_SEQUENCE_END int32_false_true: [0, 1] } }
  control_input { name: "ID" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 } }
}
"""

TOLD = {"tenant": "a", "top": -3, "share": 0.5, "raw": True}
"""Parameters of requests, of each type."""

QUICK = Settings("", (ModelLoad("double"),), window_s=0.3, warmup_s=0.1, stability=10.0)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    repository = tmp_path_factory.mktemp("load")
    write(repository, "double", f"max_batch_size: 8 {row('input', 'x', 'FP32')} {row('output', 'y', 'FP32')}", DOUBLE)
    wide = f"{tensor('input', 'x', dims=-1)} {tensor('output', 'y', dims=-1)}"
    write(repository, "wide", wide, DOUBLE)
    stall = STALL.replace("GATE", str(gate(repository)))
    write(repository, "stall", f"{tensor('input', 'x')} {tensor('output', 'y')}", stall)
    write(repository, "steps", f"{tensor('input', 'x')} {tensor('output', 'y')} {CONTROLS}", STEPS)
    write(repository, "sequences", f"{tensor('input', 'x')} {tensor('output', 'y')} {CONTROLS}", SEQUENCES)
    write(
        repository,
        "counter",
        f"{tensor('input', 'count', 'INT32')} {tensor('output', 'number', 'INT32')} "
        "model_transaction_policy { decoupled: true }",
        COUNTER,
    )
    write_parameter_model(repository, "told", expected=TOLD)
    write_parameter_model(repository, "tells", streams=True, expected=TOLD)
    write_parameter_model(repository, "told_steps", CONTROLS, expected=TOLD)
    write_ensemble(repository)
    with Server.embedded(repository, http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as running:
        yield running


def gate(repository: Path) -> Path:
    """Name the file while which there is the model `stall` stalls."""
    return repository.with_name(f"{repository.name}_gate")


def write_ensemble(repository: Path) -> None:
    """Write `both`: `double` twice."""
    (repository / "both" / "1").mkdir(parents=True)
    maps = 'input_map {{ key: "x" value: "{}" }} output_map {{ key: "y" value: "{}" }}'
    step = f'step {{{{ model_name: "double" model_version: -1 {maps} }}}} '
    tensors = 'input { name: "x" data_type: TYPE_FP32 dims: [1] } output { name: "z" data_type: TYPE_FP32 dims: [1] }'
    steps = step.format("x", "y") + step.format("y", "z")
    config = f'name: "both" platform: "ensemble" max_batch_size: 8 {tensors} ensemble_scheduling {{ {steps} }}'
    (repository / "both" / "config.pbtxt").write_text(config)


def url(server: Server, protocol: str) -> str:
    return server.http_url if protocol == "http" else server.grpc_url


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize(("kind", "value"), [("concurrency", 4), ("rate", 200)])
def test_both_loops_count_what_the_server_counts(loaded: Server, protocol: str, kind: Kind, value: int) -> None:
    settings = replace(QUICK, url=url(loaded, protocol), loads=(Load(kind, value),), processes=2, duration_s=0.9)
    report = sweep(settings)
    (point,) = report.points
    assert (point.failed, point.protocol, len(point.windows)) == (0, protocol, 3)
    (server,) = point.server
    assert (server.model, server.composing) == ("double", False)
    # A machine that is too busy reads the statistics seconds late, and then the point says so.
    if not any("its statistics were read late" in warning for warning in point.generator.warnings):
        assert server.requests == pytest.approx(point.requests, rel=0.3)
    assert sum(step.mean_us for step in point.breakdown) == pytest.approx(point.latency.mean_us.value, rel=0.5)
    assert point.processes is not None
    assert point.processes.processes >= 2
    assert point.generator.cpu_share > 0
    if kind == "rate":
        assert point.request_rate.value == pytest.approx(value, rel=0.3)
        assert point.latency.mean_us.value >= point.latency_uncorrected.mean_us.value
    assert Report.from_json(json.loads(json.dumps(report.to_json()))) == report


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_so_many_requests_are_sent_and_their_answers_checked(loaded: Server, tmp_path: Path, protocol: str) -> None:
    x = np.arange(6, dtype=np.float32)
    np.savez(tmp_path / "right.npz", x=x, y=x * 2)
    np.savez(tmp_path / "wrong.npz", x=x, y=np.where(x == 5, 0, x * 2))
    for name, wrong in (("right.npz", 0), ("wrong.npz", 20)):
        model = ModelLoad("double", data=Data(str(tmp_path / name), check=True))
        settings = replace(QUICK, url=url(loaded, protocol), models=(model,), requests=120, warmup_s=0.0)
        (point,) = sweep(settings).points
        assert point.requests + point.failed == 120
        assert point.failed == wrong
        assert {error.kind for error in point.errors} == ({"wrong answer"} if wrong else set())


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("model", [ModelLoad("told"), ModelLoad("tells"), ModelLoad("told_steps", sequence_length=3)])
def test_parameters_go_with_each_request(loaded: Server, protocol: str, model: ModelLoad) -> None:
    settings = replace(QUICK, url=url(loaded, protocol), models=(model,), requests=60, warmup_s=0.0, parameters=TOLD)
    (point,) = sweep(settings).points
    assert (point.requests, point.failed) == (60, 0)
    if not model.sequence_length:
        (untold,) = sweep(replace(settings, parameters={})).points
        assert untold.failed == 60


def test_a_parameter_named_as_an_input_needs_grpc(loaded: Server) -> None:
    settings = replace(QUICK, models=(ModelLoad("tells"),), parameters={"x": 1}, requests=4, warmup_s=0.0)
    with pytest.raises(InvalidLoad, match=r'tells: "x" is an input: streams over HTTP tell .* use gRPC'):
        sweep(replace(settings, url=loaded.http_url))
    (point,) = sweep(replace(settings, url=loaded.grpc_url)).points
    assert "{'x': 1} came, not" in point.errors[0].example


@pytest.mark.parametrize("body", ["binary", "json"])
def test_the_options_of_parameters_reach_the_model(loaded: Server, tmp_path: Path, body: str) -> None:
    given = [word for name, value in TOLD.items() for word in ("--request-parameter", spell(name, value))]
    quick = ["--requests", "20", "--warmup", "0", "--body", body, "--json", str(tmp_path / "out.json")]
    result = CliRunner().invoke(app, ["perf", "told", "--url", loaded.http_url, *given, *quick])
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "out.json").read_text())["settings"]["parameters"] == TOLD
    file = tmp_path / "told.toml"
    table = 'request-parameter = { tenant = "a", top = -3, share = 0.5, raw = true }'
    file.write_text(f'model = "told"\nurl = "{loaded.grpc_url}"\nrequests = 20\nwarmup = 0\n{table}\n')
    result = CliRunner().invoke(app, ["perf", "run", str(file)])
    assert result.exit_code == 0, result.output


def test_live_servers_get_the_parameters(loaded: Server) -> None:
    command = [
        "perf",
        "compare",
        loaded.http_url,
        loaded.grpc_url,
        "--model",
        "told",
        "--pairs",
        "2",
        "--window",
        "0.1",
    ]
    given = [word for name, value in TOLD.items() for word in ("--request-parameter", spell(name, value))]
    assert "failed" not in CliRunner().invoke(app, [*command, *given]).output
    assert "failed" in CliRunner().invoke(app, command).output


def spell(name: str, value: object) -> str:
    """Write a parameter as NAME:VALUE:TYPE."""
    kind = {bool: "bool", int: "int", float: "double", str: "string"}[type(value)]
    return f"{name}:{value}:{kind}"


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_without_a_warmup_the_server_has_counted_the_first_request_too(loaded: Server, protocol: str) -> None:
    (point,) = sweep(replace(QUICK, url=url(loaded, protocol), requests=1, warmup_s=0.0)).points
    assert [statistics.requests for statistics in point.server] == [1]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("processes", [1, 3])
def test_given_times_are_all_measured_after_a_warm_up_of_its_own(loaded: Server, protocol: str, processes: int) -> None:
    times = tuple(number / 100 for number in range(60))
    common = replace(
        QUICK, url=url(loaded, protocol), loads=(Load("schedule", 100),), times_s=times, window_s=None, warmup_s=0.2
    )
    (whole,) = sweep(replace(common, processes=processes)).points
    assert (whole.requests, whole.failed, whole.stable) == (60, 0, None)
    assert [statistics.requests for statistics in whole.server] == [60]
    assert len(whole.windows) >= 10
    (longer,) = sweep(replace(common, duration_s=30.0)).points
    assert longer.requests == 60
    (cut,) = sweep(replace(common, requests=20)).points
    assert cut.requests == 20
    (short,) = sweep(replace(common, duration_s=0.3)).points
    assert 0 < short.requests < 60
    two = replace(common, loads=(Load("replay", 2),), times_s=(0.0, 0.1), processes=3)
    assert sweep(two).points[0].requests == 2


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("load", [Load("concurrency", 2), Load("rate", 50)], ids=str)
def test_a_server_that_goes_away_is_told_without_its_statistics_too(tmp_path: Path, protocol: str, load: Load) -> None:
    """So many requests would never have ended; the window in which it went away is in no figure."""
    write(tmp_path, "double", f"max_batch_size: 8 {row('input', 'x', 'FP32')} {row('output', 'y', 'FP32')}", DOUBLE)
    with Server.embedded(tmp_path, http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as dying:
        settings = replace(
            QUICK,
            url=getattr(dying, f"{protocol}_url"),
            loads=(load,),
            requests=10**9,
            window_s=0.2,
            server_statistics=False,
        )
        with pytest.raises(SweepStopped, match="the server went away: ") as stopped:
            sweep(settings, on_window=lambda point: dying.stop() if point.requests else None)
    assert stopped.value.report.points[0].requests > 0


@pytest.mark.parametrize("body", ["binary", "json"])
def test_errors_are_told_in_the_servers_words(loaded: Server, tmp_path: Path, body: str) -> None:
    (tmp_path / "rows.jsonl").write_text('{"x": 1}\n{"x": -1}\n')
    for protocol, kind in (("http", "HTTP 500"), ("grpc", "gRPC 13")):
        settings = replace(
            QUICK,
            url=url(loaded, protocol),
            models=(ModelLoad("double", data=Data(str(tmp_path / "rows.jsonl"))),),
            body=body,
            requests=40,
            warmup_s=0.0,
            slo=(Slo("p99", 1e9),),
        )
        (point,) = sweep(settings).points
        assert [(error.kind, error.count) for error in point.errors] == [(kind, 20)]
        assert "below zero" in point.errors[0].example
        assert point.slo_met is False


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("memory", ["none", "system"])
def test_large_tensors_pass_flow_control_or_shared_memory(loaded: Server, protocol: str, memory: str) -> None:
    model = ModelLoad("wide", data=Data(shapes={"x": (300_000,)}, payloads=2))
    settings = replace(
        QUICK,
        url=url(loaded, protocol),
        models=(model,),
        loads=(Load("concurrency", 3),),
        shared_memory=memory,  # type: ignore[arg-type]
        requests=12,
        warmup_s=0.0,
    )
    (point,) = sweep(settings).points
    assert (point.requests, point.failed) == (12, 0)


def test_outputs_lie_in_shared_memory_where_their_size_is_known_or_given(loaded: Server) -> None:
    model = ModelLoad("wide", data=Data(shapes={"x": (30_000,)}, payloads=2))
    for protocol, kind in (("http", "HTTP 500"), ("grpc", "gRPC 13")):
        common = replace(QUICK, url=url(loaded, protocol), shared_memory="system", requests=12, warmup_s=0.0)
        double, fits, over, short = (
            sweep(replace(common, models=(each,), output_bytes=size)).points[0]
            for each, size in ((ModelLoad("double"), 1), (model, 120_000), (model, None), (model, 1000))
        )
        assert (double.requests, fits.requests, over.requests, short.requests) == (12, 12, 12, 0)
        assert [error.kind for error in short.errors] == [kind]
        assert "120000" in short.errors[0].example


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_shared_memory_of_a_run_that_was_killed_is_removed_by_the_next(loaded: Server, protocol: str) -> None:
    address = parse_address(url(loaded, protocol))
    control = connect(address, {}, TlsFiles())
    segments = [Segment(100), Segment(100)]
    try:
        for segment in segments:
            control.register(segment.name, f"/{segment.name}", 100)
        segments[0].memory.close()  # as its owner's end does
        os.close(segments[0]._file)
        sweep(replace(QUICK, url=str(address), shared_memory="system", requests=4, warmup_s=0.0))
        assert control.regions() == [segments[1].name]
        assert not Path("/dev/shm", segments[0].name).exists()
        control.unregister(segments[1].name)
    finally:
        segments[1].close()
        control.close()


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_streams_are_timed_by_their_responses(loaded: Server, tmp_path: Path, protocol: str) -> None:
    (tmp_path / "rows.jsonl").write_text('{"count": 5}\n')
    model = ModelLoad("counter", data=Data(str(tmp_path / "rows.jsonl")))
    settings = replace(QUICK, url=url(loaded, protocol), models=(model,), loads=(Load("concurrency", 2),))
    (point,) = sweep(settings).points
    assert (point.failed, point.client_receive_us) == (0, None)
    names = {step.name for step in point.breakdown} or {
        "until the last response: model, server, network"
    }  # a note says
    assert "until the last response: model, server, network" in names
    assert point.first_response is not None
    assert point.between_responses is not None
    assert point.between_responses.count == pytest.approx(4 * point.first_response.count, abs=20)
    assert point.first_response.p50_us.value <= point.latency.p50_us.value


@pytest.mark.parametrize(("protocol", "kind"), [("http", "HTTP 400"), ("grpc", "stream")])
def test_errors_within_streams_are_counted(loaded: Server, tmp_path: Path, protocol: str, kind: str) -> None:
    (tmp_path / "rows.jsonl").write_text('{"count": 2}\n{"count": -1}\n')
    model = ModelLoad("counter", data=Data(str(tmp_path / "rows.jsonl")))
    (point,) = sweep(replace(QUICK, url=url(loaded, protocol), models=(model,), requests=20, warmup_s=0.0)).points
    assert [(error.kind, error.count) for error in point.errors] == [(kind, 10)]
    assert "below zero" in point.errors[0].example


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_streams_and_single_answers_are_mixed(loaded: Server, tmp_path: Path, protocol: str) -> None:
    (tmp_path / "rows.jsonl").write_text('{"count": 3}\n')
    models = (ModelLoad("counter", data=Data(str(tmp_path / "rows.jsonl"))), ModelLoad("double", weight=3))
    (point,) = sweep(replace(QUICK, url=url(loaded, protocol), models=models, requests=200, warmup_s=0.0)).points
    assert (point.requests, point.failed) == (200, 0)
    asked = {statistics.model: statistics.requests for statistics in point.server}
    assert asked["double"] == pytest.approx(150, abs=30)
    assert point.first_response is not None
    singly = 0 if protocol == "http" else 1  # over gRPC an answer of a stream of one, else no stream's
    assert point.first_response.count == pytest.approx(asked["counter"] + singly * asked["double"], abs=3)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize(("kind", "value"), [("concurrency", 3), ("rate", 100)])
def test_sequences_run_from_start_to_end(loaded: Server, tmp_path: Path, protocol: str, kind: Kind, value: int) -> None:
    """Begun ones go on first, and those open at a load's end are ended: the model's one slot is free for the next."""
    settings = replace(
        QUICK,
        url=url(loaded, protocol),
        models=(ModelLoad("sequences", sequence_length=4),),
        loads=(Load(kind, value), Load(kind, value)),
        duration_s=0.9,
    )
    file = tmp_path / "requests.json"
    with ProfileExport(file) as export:
        points = sweep(settings, export=export).points
    assert [point.errors for point in points] == [(), ()]
    assert min(point.requests for point in points) > 20
    for experiment in json.loads(file.read_text())["experiments"]:
        lengths = Counter(request["sequence_id"] for request in experiment["requests"])
        assert max(lengths.values()) == 4
        assert sum(length == 4 for length in lengths.values()) > len(lengths) / 2


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize(("kind", "value"), [("concurrency", 3), ("rate", 100)])
def test_sequences_that_lose_a_request_hold_no_place(loaded: Server, protocol: str, kind: Kind, value: int) -> None:
    """The model fails each request, and would keep its one slot for a minute for a sequence that isn't ended."""
    model = ModelLoad("steps", sequence_length=3)
    loads = (Load(kind, value),)
    settings = replace(QUICK, url=url(loaded, protocol), models=(model,), loads=loads, requests=30, timeout_s=10)
    (point,) = sweep(replace(settings, warmup_s=0.0)).points
    assert (point.requests, point.failed) == (0, 30)
    assert {error.kind for error in point.errors} == {"HTTP 500" if protocol == "http" else "gRPC 13"}


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_number_of_requests_may_end_amid_a_sequence(loaded: Server, protocol: str) -> None:
    """The last ones of others wait for its place in the model."""
    model = ModelLoad("sequences", sequence_length=4)
    settings = replace(QUICK, url=url(loaded, protocol), models=(model,), loads=(Load("concurrency", 3),), timeout_s=10)
    for requests in (13, 14, 15):
        (point,) = sweep(replace(settings, requests=requests, warmup_s=0.0)).points
        assert (point.requests, point.errors) == (requests, ())


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_sequences_of_a_file_are_sent_as_they_are_written(loaded: Server, tmp_path: Path, protocol: str) -> None:
    file = tmp_path / "sequences.json"
    streams = [[{"x": [1.0]}, {"x": [102.0]}], [{"x": [1.0]}, {"x": [2.0]}, {"x": [103.0]}], [{"x": [101.0]}]]
    file.write_text(json.dumps({"data": streams}))
    model = ModelLoad("steps", data=Data(str(file)))
    settings = replace(QUICK, url=url(loaded, protocol), models=(model,), requests=60, warmup_s=0.0)
    (point,) = sweep(settings).points
    assert (point.requests, point.errors) == (60, ())
    checked = replace(settings.models[0], data=replace(settings.models[0].data, check=True))
    with pytest.raises(InvalidLoad, match="answers to its sequences can't be checked; leave check out"):
        sweep(replace(settings, models=(checked,)))
    with pytest.raises(InvalidLoad, match="its lists are sequences"):
        sweep(replace(settings, shared_memory="system"))
    file.write_text(json.dumps({"data": [{"x": [1.0]}]}))
    with pytest.raises(InvalidLoad, match="steps takes sequences: set sequence_length"):
        sweep(settings)


def test_a_mix_has_its_shares_and_the_steps_of_its_ensembles(loaded: Server) -> None:
    settings = replace(
        QUICK,
        url=loaded.http_url,
        models=(ModelLoad("both", weight=1), ModelLoad("wide", weight=3, data=Data(shapes={"x": (1,)}))),
        loads=(Load("concurrency", 4),),
    )
    (point,) = sweep(settings).points
    found = {statistics.model: statistics for statistics in point.server}
    assert [(model, found[model].composing) for model in found] == [("both", False), ("wide", False), ("double", True)]
    assert found["wide"].requests / found["both"].requests == pytest.approx(3, rel=0.3)
    assert found["double"].requests == pytest.approx(2 * found["both"].requests, rel=0.1)
    if point.breakdown:
        assert {"double: compute infer", "wide: queue"} <= {step.name for step in point.breakdown}
    else:
        assert any("where the mean latency goes isn't told" in warning for warning in point.generator.warnings)
    assert "latencies are of the mixture of the models; measure each by itself for its own" in point.generator.warnings


def test_a_stall_is_seen_by_the_corrected_latency_only(loaded: Server) -> None:
    settings = replace(
        QUICK,
        url=loaded.http_url,
        models=(ModelLoad("stall"),),
        loads=(Load("rate", 200),),
        duration_s=5.0,
        max_in_flight=2,
    )
    gate(loaded.repository).touch()
    (point,) = sweep(settings).points
    assert not gate(loaded.repository).exists()
    assert point.failed == 0
    assert point.latency.percentile_us(99.5) >= 900_000
    assert point.latency_uncorrected.percentile_us(99.5) < 900_000
    assert any("max_in_flight" in warning for warning in point.generator.warnings)


def test_a_server_that_stops_answering_amid_a_load_meets_nothing(loaded: Server) -> None:
    """Its port still takes connections, and of two requests in flight only two can be lost."""
    pid = find_server("127.0.0.1", int(loaded.http_url.rpartition(":")[2]))
    assert pid is not None

    settings = replace(
        QUICK,
        url=loaded.http_url,
        loads=(Load("concurrency", 2),),
        window_s=0.3,
        duration_s=5.0,
        server_statistics=False,
        slo=(Slo("p50", 1e6),),
    )
    freeze = Popen(["sh", "-c", f"sleep 2; kill -STOP {pid}"])  # Not told by the sweep: a busy machine shows it late.
    try:
        (point,) = sweep(settings).points
    finally:
        freeze.wait(timeout=10)
        os.kill(pid, signal.SIGCONT)
    assert point.requests > 0
    assert (point.failed, point.unanswered, point.silent) == (0, 2, True)
    assert (point.slo_met, point.slo_missed) == (False, ("p50",))
    assert any("requests were under way on average" in warning for warning in point.generator.warnings)


def test_a_search_ends_at_a_load_that_meets_the_objective(loaded: Server) -> None:
    loads = (Load("concurrency", 1), Load("concurrency", 4))
    settings = replace(QUICK, url=loaded.http_url, loads=loads, slo=(Slo("p50", 1e7),))
    report = find_max(settings)
    assert report.best == Load("concurrency", 4)
    assert [point.load.value for point in report.points] == [1, 2, 4]
    assert all(point.goodput and point.goodput.value > 0 for point in report.points)


def test_what_was_measured_is_kept_where_a_sweep_is_interrupted(loaded: Server) -> None:
    """The load under way is there too, as far as it came."""
    loads = (Load("concurrency", 1), Load("concurrency", 2), Load("concurrency", 3))
    settings = replace(QUICK, url=loaded.http_url, loads=loads, slo=(Slo("p50", 1e7),), stable_windows=2)

    def interrupt(point: Point) -> None:
        if point.load.value == 2:
            raise KeyboardInterrupt

    for measure in (sweep, find_max):
        with pytest.raises(SweepInterrupted) as interrupted:
            measure(settings, on_window=interrupt)
        report = interrupted.value.report
        assert [(point.load.value, point.stable) for point in report.points] == [(1, True), (2, False)]
        assert report.best == (loads[0] if measure is find_max else None)
        assert not report.complete
    with pytest.raises(KeyboardInterrupt) as bare:
        sweep(replace(settings, loads=loads[1:], max_windows=1, stable_windows=1), on_point=interrupt)
    assert isinstance(bare.value, SweepInterrupted)


def test_one_session_measures_many_times(loaded: Server) -> None:
    with Session(replace(QUICK, url=loaded.grpc_url)) as session:
        for value in (1, 2, 1):
            point = session.measure(Load("concurrency", value), windows=2)
            assert len(point.windows) == 2
            assert point.in_flight == pytest.approx(value, rel=0.5)


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(LoadFailed, match="is a server listening there"):
        sweep(replace(QUICK, url="http://127.0.0.1:1"))
