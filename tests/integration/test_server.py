"""The embedded server: what it serves, how it ends, and that nothing of it stays."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
from repositories import DEADLINE_S, ECHO, FREE_PORTS, PYTHON, SLOW, UNDER_WAY, Trace, infer, trace, until, write_model

from tritonforge.client import Client
from tritonforge.server import (
    ModelLoadError,
    ModelState,
    PreflightError,
    Server,
    ServerDied,
    ServerError,
    ServerSettings,
    ServerTimeout,
    Workspace,
)

LAUNCHER = """
import dataclasses, json, sys
from repositories import FREE_PORTS, trace
from tritonforge.server import Server, Workspace

workspace = Workspace()
server = Server.embedded(sys.argv[1], workspace=workspace, exit_timeout_s=5, **FREE_PORTS)
print(json.dumps(dataclasses.asdict(trace(server, workspace))), flush=True)
server.wait()
"""

LARGE_COUNT = 1 << 23
LARGE_UNDER_WAY = "a large answer is made"
LARGE = f"""
import numpy as np
import triton_python_backend_utils as utils


class TritonPythonModel:
    def execute(self, requests):
        print("{LARGE_UNDER_WAY}")
        y = np.zeros((1, {LARGE_COUNT}), np.float32)
        return [utils.InferenceResponse([utils.Tensor("y", y)]) for _ in requests]
"""

PARTS = """
import time

import triton_python_backend_utils as utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            response = utils.InferenceResponse([utils.Tensor("y", request.inputs()[0].as_numpy())])
            sender.send(response)
            time.sleep(3)
            sender.send(response, flags=utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""


@pytest.fixture
def launched(echo_repository: Path) -> Iterator[tuple[subprocess.Popen[str], Trace]]:
    """A process that has launched a server, and that server's traces."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(Path(__file__).parent), *sys.path))}
    command = [sys.executable, "-c", LAUNCHER, str(echo_repository)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as launcher:
        try:
            assert launcher.stdout is not None
            fields = json.loads(launcher.stdout.readline())
            yield launcher, Trace(**{**fields, "ports": tuple(fields["ports"])})
        finally:
            launcher.kill()


def test_is_ready_for_both_protocols_and_metrics_when_it_has_started(server: Server) -> None:
    """The first call needs no retry."""
    assert server.models() == [ModelState("double", "1", "READY"), ModelState("echo", "1", "READY")]
    assert infer(server.http_url, "double", 3.5) == 7.0
    with tritonclient.grpc.InferenceServerClient(server.grpc_url.removeprefix("grpc://")) as client:
        tensor = tritonclient.grpc.InferInput("x", [2, 1], "FP32")
        tensor.set_data_from_numpy(np.array([[1.5], [2.5]], np.float32))
        np.testing.assert_array_equal(client.infer("double", [tensor]).as_numpy("y"), [[3.0], [5.0]])
    with urllib.request.urlopen(server.metrics_url) as page:
        assert b'nv_inference_count{model="echo",version="1"}' in page.read()


def test_describes_what_it_serves(server: Server) -> None:
    """A repository without a manifest is described by the server itself."""
    described = [(model.name, model.kind, model.signature) for model in server.describe()]
    signature = "(x: FP32[-1, 1]) -> (y: FP32[-1, 1])"
    assert described == [("double", "python", signature), ("echo", "python", signature)]


def test_listens_on_this_machine_only(server: Server) -> None:
    """The three ports are bound to 127.0.0.1."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:] + Path("/proc/net/tcp6").read_text().splitlines()[1:]
    local = [line.split()[1] for line in lines if line.split()[3] == "0A"]
    ours = {server.settings.http_port, server.settings.grpc_port, server.settings.metrics_port}
    hosts = {address.rpartition(":")[0] for address in local if int(address.rpartition(":")[2], 16) in ours}
    assert hosts <= {"0100007F", "0000000000000000FFFF00000100007F"}


def test_stop_drains_then_leaves_nothing(tmp_path: Path) -> None:
    """A request under way gets its answer; then processes, shared memory, folder and ports are gone."""
    write_model(tmp_path, "slow", SLOW.replace("SECONDS", "1"))
    answers: list[float] = []
    with Workspace() as workspace:
        server = Server.embedded(tmp_path, workspace=workspace, **FREE_PORTS)
        left = trace(server, workspace)
        assert left.remains()
        caller = threading.Thread(target=lambda: answers.append(infer(server.http_url, "slow", 4.0)))
        caller.start()
        until(lambda: UNDER_WAY in server.log_text(), UNDER_WAY)
        assert server.stop() == 0
        caller.join()
    assert answers == [4.0]
    assert left.remains() == []
    assert server.stop() == 0
    assert "successfully loaded 'slow'" in server.log_text()


def test_stop_waits_for_no_client_that_is_idle_over_grpc(tmp_path: Path) -> None:
    """Triton waits until its clients have closed their connections; ours does while nobody calls it."""
    write_model(tmp_path, "slow", SLOW.replace("SECONDS", "0"))
    with Server.embedded(tmp_path, exit_timeout_s=60, **FREE_PORTS) as server, Client(server.grpc_url) as client:
        client.infer("slow", x=np.array([[4]], np.float32))
        assert server.stop() == 0


def test_stop_waits_for_no_idle_connection_but_for_requests_on_others(tmp_path: Path) -> None:
    """Triton alone would wait until it is killed; an answer that is computed meanwhile, and read slowly, is whole."""
    write_model(tmp_path, "slow", SLOW.replace("SECONDS", "3"))
    write_model(tmp_path, "large", LARGE)
    with Server.embedded(tmp_path, exit_timeout_s=60, **FREE_PORTS) as server, ExitStack() as stack:
        idle, slow, large = (
            stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", server.settings.http_port)))
            for _ in range(3)
        )
        for connection in (idle, slow, large):
            connection.request("GET", "/v2")
            connection.getresponse().read()
        tensor = {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [4.0]}
        for model, connection in (("large", large), ("slow", slow)):
            connection.request("POST", f"/v2/models/{model}/infer", json.dumps({"inputs": [tensor]}))
        until(lambda: UNDER_WAY in server.log_text() and LARGE_UNDER_WAY in server.log_text(), UNDER_WAY)
        code: list[int] = []
        stopping = threading.Thread(target=lambda: code.append(server.stop()))
        stopping.start()
        answer = slow.getresponse().read()
        assert json.loads(answer)["outputs"][0]["data"] == [4.0]
        assert len(large.getresponse().read()) > 4 * LARGE_COUNT
        stopping.join()
        assert code == [0]
        with pytest.raises(ServerError, match="this server has ended; start another"):
            server.__enter__()


def test_stop_ends_connections_that_are_called_on_all_the_time(echo_repository: Path) -> None:
    """Triton alone would go on answering until it is killed, amid requests."""
    with Server.embedded(echo_repository, exit_timeout_s=60, **FREE_PORTS) as server:
        body = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [4.0]}]})
        answers: list[int] = []

        def call() -> None:
            with closing(http.client.HTTPConnection("127.0.0.1", server.settings.http_port)) as connection:
                connection.connect()
                connection.auto_open = 0
                with suppress(OSError, http.client.NotConnected):
                    while True:
                        connection.request("POST", "/v2/models/echo/infer", body)
                        answer = connection.getresponse()
                        answer.read()
                        answers.append(answer.status)

        caller = threading.Thread(target=call)
        caller.start()
        until(lambda: answers, "an answer came")
        assert server.stop() == 0
        caller.join()
    assert set(answers) == {200}


def test_stop_cuts_no_stream_between_its_parts(tmp_path: Path) -> None:
    """Its connection looks idle then; where a model streams, Triton waits for all connections."""
    config = f"{PYTHON.replace('max_batch_size: 8', '')} model_transaction_policy {{ decoupled: true }}"
    write_model(tmp_path, "parts", PARTS, config=config)
    server = Server.embedded(tmp_path, exit_timeout_s=60, **FREE_PORTS)
    with closing(http.client.HTTPConnection("127.0.0.1", server.settings.http_port)) as connection:
        connection.request("POST", "/v2/models/parts/generate_stream", json.dumps({"x": 1.0}))
        answer = connection.getresponse()
        first = answer.readline()
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert (first + answer.read()).count(b"data: ") == 2
    stopping.join()


def test_kills_what_does_not_end_in_time(tmp_path: Path) -> None:
    """A model that hangs holds nothing up beyond the exit timeout."""
    write_model(tmp_path, "slow", SLOW.replace("SECONDS", "1000"))
    with Workspace() as workspace:
        server = Server.embedded(tmp_path, workspace=workspace, exit_timeout_s=0.5, **FREE_PORTS)
        left = trace(server, workspace)
        caller = threading.Thread(target=_expect_cut_off, args=(server.http_url,))
        caller.start()
        until(lambda: UNDER_WAY in server.log_text(), UNDER_WAY)
        assert server.stop() == 128 + signal.SIGKILL
        caller.join()
    assert left.remains() == []


def test_nothing_outlives_a_killed_launcher(launched: tuple[subprocess.Popen[str], Trace]) -> None:
    """SIGKILL leaves the launcher no time for anything; the supervisor cleans up."""
    launcher, left = launched
    assert left.remains()
    launcher.kill()
    until(lambda: not left.remains(), "everything is gone")


def test_nothing_outlives_a_killed_supervisor(echo_repository: Path) -> None:
    """The kernel kills the server; the launcher does the rest."""
    with Workspace() as workspace:
        server = Server.embedded(echo_repository, workspace=workspace, **FREE_PORTS)
        left = trace(server, workspace)
        os.kill(left.session, signal.SIGKILL)
        assert server.wait(DEADLINE_S) == 128 + signal.SIGKILL
    assert left.remains() == []


def test_nothing_outlives_a_server_and_a_model_that_crashed(echo_repository: Path) -> None:
    """The server's exit code is told, and what it left is removed, a dead model's shared memory too."""
    with Workspace() as workspace:
        server = Server.embedded(echo_repository, workspace=workspace, **FREE_PORTS)
        left = trace(server, workspace)
        os.kill(left.stubs()[0], signal.SIGKILL)
        assert server.wait(0.1) is None
        os.kill(server.pid, signal.SIGSEGV)
        assert server.wait(DEADLINE_S) == 128 + signal.SIGSEGV
    assert left.remains() == []


def test_runs_side_by_side(server: Server, echo_repository: Path) -> None:
    """Servers on one repository don't meet, and one's end leaves the other whole."""
    with Server.embedded(echo_repository, exit_timeout_s=0, **FREE_PORTS) as other:
        assert other.http_url != server.http_url
        assert infer(other.http_url, "double", 1.0) == 2.0
    assert infer(server.http_url, "double", 1.0) == 2.0


def test_a_model_finds_the_launchers_packages_and_writes_no_bytecode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PYTHONPATH reaches the isolated stub; prints are in the log at once; a path with a space in it serves."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "far_away.py").write_text("PLACE = 'far away'")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "elsewhere"))
    repository = tmp_path / "with a space"
    version = write_model(repository, "echo", f"import far_away, sys\nprint(far_away.PLACE, sys.prefix)\n{ECHO}")
    with Server.embedded(repository, exit_timeout_s=0, **FREE_PORTS) as server:
        assert f"far away {sys.prefix}" in server.log_text()
    assert sorted(path.name for path in version.iterdir()) == ["model.py"]


def test_folders_that_no_shell_and_no_ascii_can_spell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository on a file system without the temporary files has its snapshot beside it: stubs start from there.

    Here all files lie on one; what tells that is stood in for.
    """
    temporary = tmp_path / "über all"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr("tritonforge.server.launch.can_link", lambda *_: False)
    folder = tmp_path / "my modèles"
    write_model(folder, "echo", ECHO)
    with Server.embedded(folder, model_control="explicit", exit_timeout_s=0, **FREE_PORTS) as server:
        assert infer(server.http_url, "echo", 1) == 1
        (folder / "echo" / "1" / "model.py").write_text(ECHO.replace("as_numpy()", "as_numpy() + 1"))
        server.reload("echo")
        assert infer(server.http_url, "echo", 1) == 2
    assert [path.name for path in tmp_path.iterdir() if path != temporary] == ["my modèles"]


def test_a_built_repository_starts_each_process_once_and_takes_no_model_that_leaves_something_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Triton would start another before it, to complete what says all; one that is loaded later is refused.

    So it is where the snapshot lies beside the repository, as on a file system without the temporary files.
    """
    monkeypatch.setattr("tritonforge.server.launch.can_link", lambda *_: False)
    write_model(tmp_path, "echo", ECHO)
    entry = {"version": 1, "kind": "python", "signature": {"batched": True, "inputs": [], "outputs": []}}
    (tmp_path / "tritonforge.json").write_text(json.dumps({"schema": 1, "models": {"echo": entry}}))
    settings: dict[str, Any] = {"model_control": "explicit", "exit_timeout_s": 0, **FREE_PORTS}
    with Server.embedded(tmp_path, **settings) as server:
        assert "--disable-auto-complete-config" in Path(f"/proc/{server.pid}/cmdline").read_text().split("\0")
        assert infer(server.http_url, "echo", 1) == 1
        write_model(tmp_path, "terse", ECHO, config='backend: "python"')
        with pytest.raises(ServerError, match="terse: its configuration leaves something to Triton"):
            server.load("terse")
        monkeypatch.undo()
    with Server.embedded(tmp_path, **settings) as server:
        assert "--disable-auto-complete-config" not in Path(f"/proc/{server.pid}/cmdline").read_text().split("\0")


def test_one_model_that_cannot_be_read_among_good_ones_is_told(tmp_path: Path) -> None:
    """The server itself says that it is ready then."""
    write_model(tmp_path, "good", ECHO)
    write_model(tmp_path, "typo", ECHO, config=f"{PYTHON}\nmax_batchsize: 4")
    with pytest.raises(ModelLoadError) as raised, Server.embedded(tmp_path, exit_timeout_s=0, **FREE_PORTS):
        pass
    (found,) = raised.value.diagnostics
    assert (found.code, found.where.line, found.where.subject) == ("TF521", 2, "typo")
    assert 'no field named "max_batchsize"' in found.message


def test_gives_up_on_a_model_that_takes_too_long(tmp_path: Path) -> None:
    """The error names the model; the server is gone."""
    write_model(tmp_path, "slow", f"import time\ntime.sleep(1000)\n{ECHO}")
    with Workspace() as workspace, pytest.raises(ServerTimeout, match=r"within 1 s: still loading slow"):
        Server.embedded(tmp_path, workspace=workspace, ready_timeout_s=1, exit_timeout_s=1, **FREE_PORTS)
    assert not workspace.folder.exists()


def test_a_server_without_grpc_names_no_address_for_it(echo_repository: Path) -> None:
    flags = ("--allow-grpc=false",)
    with Server.embedded(echo_repository, extra_args=flags, model_control="explicit", **FREE_PORTS) as server:
        assert server.grpc_url == ""
        server.reload("echo")  # most often over gRPC
        assert {state.state for state in server.models()} == {"READY"}


def test_tells_the_last_words_of_a_server_that_dies_while_starting(echo_repository: Path) -> None:
    """Here it refuses a flag's value."""
    with pytest.raises(
        ServerDied, match=r"tritonserver ended with code 1; its last words:\n(.*\n)*.*rate-limit"
    ) as died:
        Server.embedded(echo_repository, extra_args=("--rate-limit=nonsense",), **FREE_PORTS)
    assert died.value.exit_code == 1


def test_a_server_that_an_overloaded_machine_ends_is_told_with_what_to_do(
    tmp_path: Path, echo_repository: Path
) -> None:
    """Its Python backend gives up a lock that a process of a model holds too long; here a script has its last words."""
    program = tmp_path / "opt" / "bin" / "tritonserver"
    program.parent.mkdir(parents=True)
    (tmp_path / "opt" / "backends").mkdir()
    words = "terminate called after throwing an instance of 'boost::interprocess::lock_exception'"
    program.write_text(f'#!/bin/sh\necho "{words}" >&2\nkill -ABRT $$\n')
    program.chmod(0o755)
    with pytest.raises(ServerDied, match=r"code 134 \(SIGABRT\)") as died:
        Server.embedded(echo_repository, tritonserver=str(tmp_path / "opt"), **FREE_PORTS)
    assert str(died.value).splitlines()[1:] == [
        words,
        "  hint: the machine is overloaded: a process of the Python backend waited too long for another; start again, "
        "with fewer servers or instances at once",
    ]


def test_a_taken_port_is_told_before_anything_starts(server: Server, echo_repository: Path) -> None:
    """The message has the process that holds it, and what to change."""
    port = server.settings.grpc_port
    settings = ServerSettings(**{**FREE_PORTS, "grpc_port": port})
    with pytest.raises(PreflightError) as refused:
        Server.embedded(echo_repository, settings)
    (diagnostic,) = refused.value.diagnostics
    assert str(diagnostic).startswith(f"port {port} (grpc): is taken by process {server.pid} (")
    assert diagnostic.hint == "choose another with --grpc-port or TRITONFORGE_GRPC_PORT (0 takes a free one)"


def _expect_cut_off(url: str) -> None:
    with pytest.raises(OSError, match=r"."):
        infer(url, "slow", 1.0)
