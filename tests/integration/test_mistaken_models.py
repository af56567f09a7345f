"""Mistakes in models' code that a real server would answer with something wrong, or die of: each is told."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mistaken_definitions as definitions
import numpy as np
import pytest

from tritonforge import TritonError
from tritonforge.build import build
from tritonforge.client import Client, ClientError, InvalidRequest
from tritonforge.errors import InvalidTensor
from tritonforge.server import Server
from tritonforge.testing import ModelError, load_model


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mistaken") / "model_repository"
    build([Path(definitions.__file__)], folder)
    return folder


@pytest.fixture(scope="module")
def mistaken(repository: Path) -> Iterator[Server]:
    with Server.embedded(repository, http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as running:
        yield running


@pytest.fixture(scope="module")
def client(mistaken: Server) -> Iterator[Client]:
    with Client(mistaken.grpc_url) as connected:
        yield connected


def test_labels_that_triton_would_abort_on(mistaken: Server, client: Client) -> None:
    for number in (404, 404, 200):
        client.call(definitions.labelled, n=np.array([number]))
    with pytest.raises(ClientError, match=re.escape("ValueError: a label can't be named 'bad-label'")):
        client.call(definitions.labelled, n=np.array([-1]))

    with urllib.request.urlopen(mistaken.metrics_url) as answer:
        shown = {line for line in answer.read().decode().splitlines() if "tritonforge_mistaken" in line}
    own = 'model="labelled",status="404",version="1"'
    assert {
        r"# HELP tritonforge_mistaken_total Calls.\nOf labelled.",
        f"tritonforge_mistaken_total{{{own}}} 2",
    } <= shown


def rows(*values: list[float]) -> np.ndarray:
    return np.array(values, np.float32)


def message_of(client: Client, name: str, **inputs: np.ndarray) -> str:
    """Ask for what the server, and not the client, refuses; give its words."""
    with pytest.raises(ClientError) as caught:
        client.infer(name, inputs)
    return caught.value.reason


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, r'output "output" is float64\[2, 2\]; wanted FP32\[batch, 2\] \(convert it: .astype\("float32"\)\)'),
        (2, r'output "output" has shape \[2, 1\]; wanted FP32\[batch, 2\]'),
        (3, r'output "output" has 1 rows; wanted 2, one for each row of the inputs'),
        (4, r'output "output" is a list; wanted an np.ndarray of FP32\[batch, 2\]'),
    ],
)
@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("nested", "mid: "),
        ("nested_class", "Middle: "),
        ("fused_chain", "mid: "),
        ("bls_chain", "mid: "),
        ("ensemble_chain", "in ensemble 'ensemble_chain', mid: "),
    ],
)
def test_a_wrong_result_of_a_model_inside_another_is_told_as_its_own(
    client: Client, name: str, before: str, number: int, said: str
) -> None:
    with pytest.raises(TritonError if name == "bls_chain" else InvalidTensor):
        getattr(definitions, name)(rows([number, 1], [2, 2]))

    told = message_of(client, name, x=rows([number, 1], [2, 2]))
    assert re.fullmatch(rf"{before}{said}  \(mistaken_definitions.py:\d+ (mid|__call__)\)", told)


def test_what_is_right_goes_through_models_inside_others(client: Client) -> None:
    for name in ("nested", "nested_class", "nested_argument", "fused_chain", "bls_chain", "ensemble_chain"):
        definition = getattr(definitions, name)
        np.testing.assert_array_equal(client.call(definition, x=rows([0, 7])), definition(rows([0, 7])))
    assert client.call(definitions.nested_stream, x=rows([0, 7])).tolist() == [[0, 14]]


def test_streams_and_arguments_inside_a_model_are_checked(client: Client) -> None:
    assert message_of(client, "nested_stream", x=rows([1, 1])).startswith('halves: output "output" is float64[1, 2]')
    told = message_of(client, "nested_argument", x=rows([5, 1]))
    assert told.startswith('mid: argument "x" is float64[1, 2]; wanted FP32[batch, 2]')
    assert told.endswith(" in nested_argument)")


def test_named_dimensions_that_disagree(client: Client) -> None:
    a = rows([1, 2, 3], [4, 5, 6])
    for name in ("agreed", "fused_agreed"):
        refused = message_of(client, name, a=a, b=rows([1], [2]))
        assert refused == 'agreed: n is 1 in input "b", but 3 in "a"'
        wrong = message_of(client, name, a=rows([7, 2, 3], [4, 5, 6]), b=a)
        assert wrong.startswith('agreed: output "output" has shape [2, 6]: n is 6, but 3 in "a"  (')
    with pytest.raises(InvalidRequest):
        client.infer("agreed", {"a": a, "b": rows([1], [2])})

    assert message_of(client, "product", a=a, b=a) == 'product: m is 2 in input "b", but 3 in "a"'
    assert message_of(client, "product", a=a + 6).startswith(
        'product: output "output_1" has shape [2, 3]: k is 3, but 2 in "output_0"'
    )
    for inputs in ({"a": a, "b": rows([1, 2, 3, 4]).repeat(3, 0)}, {"a": a}):
        for one, other in zip(client.call(definitions.product, **inputs), definitions.product(**inputs), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "before"),
    [("short", ""), ("fused_short", ""), ("bls_short", ""), ("ensemble_short", "in ensemble 'ensemble_short', ")],
)
def test_a_refusal_of_the_runtimes_own_names_the_model(client: Client, name: str, before: str) -> None:
    x: Any = np.ones((1, 9), np.float32)
    said = "short: seq is 9, longer than the 4 that it takes at most (pad_to)"
    assert message_of(client, name, x=x) == f"{before}{said}"
    with pytest.raises(TritonError if name == "bls_short" else InvalidTensor, match=re.escape(said)):
        getattr(definitions, name)(x)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("last", "13 is refused"),
        ("nested", "13 is refused"),
        ("fused_chain", "last: 13 is refused"),
        ("bls_chain", "last: 13 is refused"),
        ("ensemble_chain", "in ensemble 'ensemble_chain', 13 is refused"),
    ],
)
def test_a_refusal_of_a_step_names_it_where_the_step_is_known(client: Client, name: str, said: str) -> None:
    with pytest.raises(ClientError) as caught:
        client.infer(name, {"x": rows([13, 1])})
    assert (caught.value.reason, caught.value.code) == (said, "NOT_FOUND")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("half", 'half: output "output" holds "ud800"'),
        ("nested_half", 'half: output "output" holds "ud800"'),
        ("fused_half", 'half: output "output" holds "ud800"'),
        ("twice", 'twice: output "output_0" or output "output_1" holds "udc80"'),
    ],
)
def test_a_string_that_cannot_be_utf8_is_a_wrong_result(client: Client, name: str, said: str) -> None:
    with pytest.raises(InvalidTensor, match="half of a surrogate pair"):
        getattr(definitions, name)(np.array([[0], [1]]))

    told = message_of(client, name, x=np.array([[0], [1]])).replace("'\\", '"').replace("'", '"')
    assert told.startswith(f"{said}, half of a surrogate pair, which UTF-8 has not  (mistaken_definitions.py:")
    client.call(getattr(definitions, name), x=np.array([[0]]))


@pytest.mark.parametrize("name", ["raw", "fused_raw"])
def test_bytes_that_are_no_text_are_a_wrong_result(client: Client, name: str) -> None:
    said = "holds bytes that are not UTF-8 ('utf-8' codec can't decode byte 0xff in position 0: invalid start byte)"
    with pytest.raises(InvalidTensor, match=re.escape(f'raw: result "output" {said}; annotate it as Bytes')):
        getattr(definitions, name)(np.array([[0], [1]]))

    told = message_of(client, name, x=np.array([[0], [1]]))
    assert told.startswith(f'raw: output "output" {said}; annotate it as Bytes  (mistaken_definitions.py:')
    assert client.call(getattr(definitions, name), x=np.array([[0]])).tolist() == [["whole"]]


def test_dimensions_have_their_names_in_what_is_wanted(client: Client) -> None:
    with pytest.raises(ClientError, match=re.escape("is a float32; wanted an np.ndarray of FP32[batch, k]")):
        list(client.stream("few", x=rows([1, 1])))
    with pytest.raises(ClientError, match=re.escape("wanted FP32[batch, o]")):
        client.infer("fused_agreed", {"a": rows([8, 1]), "b": rows([9, 1])})


def test_a_model_that_stops_its_event_loop_goes_on(client: Client) -> None:
    for value in (1, 2):
        assert client.call(definitions.stopping, x=rows([value, 1])).tolist() == [[value, 1]]


def test_testing_refuses_several_rows_of_a_sequence_as_the_server_does(repository: Path, client: Client) -> None:
    with client.sequence("Steps") as sequence, pytest.raises(ClientError) as caught:
        sequence.infer({"x": rows([1, 1], [2, 2])})
    with load_model(repository / "Steps") as model:
        (refused,) = model.sequence([{"x": rows([1, 1], [2, 2])}])
    assert isinstance(refused, ModelError)
    assert caught.value.reason.startswith(refused.message)
