"""Whatever a model raises fails its own request, with what can be told of it; none is left without an answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import raising_definitions as definitions

from tritonforge.build import build
from tritonforge.client import Client, ClientError, DeadlineExceeded
from tritonforge.server import ModelLoadError, Server
from tritonforge.testing import ModelError, load_model

PATIENCE_S = 60.0
SAID = {
    1: r"ValueError: odd \ud83d word",
    2: r"unknown word \ud83d",
    3: "Silent: its __str__ raises RuntimeError",
    4: "Base: own base",
    5: "GeneratorExit: left",
    6: r"ValueError: a\x00b",
    7: "404",
    8: "SystemExit: 3",
    9: "KeyboardInterrupt",
}
UNLOADABLE = """
import numpy as np
from jaxtyping import Int64
from tritonforge import model

class Own(BaseException): ...

@model
class Half:
    def __init__(self):
        raise OSError("kein Ger\\udce4t\\0")
    def __call__(self, n: Int64[np.ndarray, "1"]) -> Int64[np.ndarray, "1"]:
        return n

@model
class Based:
    def __init__(self):
        raise Own("no exception")
    def __call__(self, n: Int64[np.ndarray, "1"]) -> Int64[np.ndarray, "1"]:
        return n
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raising") / "model_repository"
    build([Path(definitions.__file__)], folder)
    return folder


@pytest.fixture(scope="module")
def client(repository: Path) -> Iterator[Client]:
    with (
        Server.embedded(repository, http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as running,
        Client(running.grpc_url) as connected,
    ):
        yield connected


def inputs(number: int) -> dict[str, np.ndarray]:
    return {"n": np.array([[number]])}


def ask(client: Client, name: str, number: int) -> None:
    if name == "Summed":
        client.infer(name, inputs(number), timeout_s=PATIENCE_S, sequence_id=1, sequence_start=True, sequence_end=True)
    elif "stream" in name:
        list(client.stream(name, inputs(number), timeout_s=PATIENCE_S))
    else:
        client.infer(name, inputs(number), timeout_s=PATIENCE_S)


@pytest.mark.parametrize("number", SAID)
@pytest.mark.parametrize("name", [each.name for each in definitions.ALL])
def test_what_a_model_raises_is_told(client: Client, name: str, number: int) -> None:
    with pytest.raises(ClientError) as caught:
        ask(client, name, number)

    assert not isinstance(caught.value, DeadlineExceeded)
    assert SAID[number] in caught.value.reason
    if number not in (2, 7):  # refusals have no place
        assert "(raising_definitions.py:" in caught.value.reason
    ask(client, name, 0)


@pytest.mark.parametrize("number", SAID)
def test_without_a_server_it_is_a_models_error_too(repository: Path, number: int) -> None:
    for name in ("plain", "coroutine", "fused"):
        with load_model(repository / name) as model, pytest.raises(ModelError) as caught:
            model.infer(**inputs(number))
        assert SAID[number] in caught.value.message
    for name in ("stream", "async_stream"):
        with load_model(repository / name) as model:
            _, failure = model.stream(timeout_s=PATIENCE_S, **inputs(number))
        assert isinstance(failure, ModelError)
        assert SAID[number] in failure.message


def test_what_a_model_raises_as_it_loads_is_told(tmp_path: Path) -> None:
    source = tmp_path / "unloadable.py"
    source.write_text(UNLOADABLE)
    build([source], tmp_path / "model_repository")

    with (
        pytest.raises(ModelLoadError) as caught,
        Server.embedded(tmp_path / "model_repository", http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0),
    ):
        pass

    told = str(caught.value)
    assert r"unloadable.py:11 Half: failed to load: OSError: kein Ger\udce4t\x00  [TF520]" in told
    assert "unloadable.py:18 Based: failed to load: Own: no exception  [TF520]" in told
