"""What the client does before it needs a server; with one, see the integration tests."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tritonforge.client
from tritonforge.client import Client, DeadlineExceeded, InvalidRequest, ServerUnavailable

from .fault_server import FaultServer, Peer, free_port


def test_importing_and_using_http_imports_no_grpc():
    script = (
        "import sys, tritonforge.client; assert 'numpy' not in sys.modules\n"
        "tritonforge.client.Client('http://127.0.0.1:1').is_ready()\n"
        "assert not {'grpc', 'tritonclient', 'torch', 'onnx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_all_public_names_are_there():
    for name in tritonforge.client.__all__:
        assert getattr(tritonforge.client, name).__name__ == name
    with pytest.raises(AttributeError, match="Nothing"):
        _ = tritonforge.client.Nothing


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf")])
def test_a_timeout_that_is_none_is_refused(timeout_s):
    with pytest.raises(ValueError, match="timeout_s"):
        Client("http://127.0.0.1:1", timeout_s=timeout_s)
    with pytest.raises(ValueError, match="timeout_s"):
        Client("http://127.0.0.1:1").infer("m", timeout_s=timeout_s)


@pytest.mark.parametrize("version", ["x", "0", "-1", 0, -1, "1.5", "²"])
def test_a_version_that_is_none_is_refused(version):
    with pytest.raises(ValueError, match="a number above 0"):
        Client("http://127.0.0.1:1").infer("m", version=version)


def test_inputs_given_twice_or_not_by_name_are_refused():
    client = Client("http://127.0.0.1:1")
    with pytest.raises(InvalidRequest, match='"x" is given twice'):
        client.infer("m", {"x": 1}, x=1)
    with pytest.raises(InvalidRequest, match="takes a mapping of names to arrays"):
        client.infer("m", [1, 2])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("fraud", r'call\(\) takes a definition; for a model by its name: client\.infer\("fraud", …\)'),
        (len, "such as @model and @pipeline make, not <built-in function len>"),
        (1, "make, not int"),
    ],
)
def test_what_is_no_definition_is_not_called(given, message):
    with pytest.raises(TypeError, match=message):
        Client("http://127.0.0.1:1").call(given)


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_server_that_is_down(scheme):
    with Client(f"{scheme}://127.0.0.1:{free_port()}") as client:
        assert client.is_ready() is False
        assert client.is_ready("m") is False
        with pytest.raises(ServerUnavailable, match=r"onnection refused; is the server up\? tritonforge up"):
            client.infer("m")
        with pytest.raises(DeadlineExceeded, match=r"not ready within 0\.2 s: .*[Cc]onnection refused"):
            client.wait_ready(timeout_s=0.2)


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_server_that_says_nothing(scheme):
    with FaultServer(Peer.hold) as server, Client(f"{scheme}://127.0.0.1:{server.port}", timeout_s=0.2) as client:
        assert client.is_ready() is False
        with pytest.raises(DeadlineExceeded):
            client.infer("m")
        with pytest.raises(DeadlineExceeded, match="not ready within"):
            client.wait_ready("m")


def test_a_closed_client_says_so():
    with Client("http://127.0.0.1:1") as client:
        assert repr(client) == "Client('http://127.0.0.1:1', timeout_s=30)"
    with pytest.raises(RuntimeError, match="closed"):
        client.models()
