"""Pipelines of every shape: what Triton serves equals what the same definitions give here, over both protocols."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pipeline_definitions as definitions
import pytest

from tritonforge.build import build
from tritonforge.client import Client, ClientError, InvalidRequest
from tritonforge.server import Server

X = np.arange(6, dtype=np.float32).reshape(2, 3)
SIX = np.arange(1, 13, dtype=np.float32).reshape(2, 6)
TEXT = np.array([["plain"], ["größer"], [""]], dtype=object)

CALLS: list[tuple[Any, dict[str, Any]]] = [
    (definitions.double, {"x": X}),
    (definitions.fan_out, {"x": X}),
    (definitions.fan_out, {"x": X[:1, :1]}),
    (definitions.beside, {"x": X, "untouched": np.array([[7], [8]])}),
    (definitions.maybe, {"x": X, "bonus": X}),
    (definitions.maybe, {"x": X}),
    (definitions.nested, {"x": X}),
    (definitions.shout, {"text": TEXT}),
    (definitions.Measure, {"raw": np.array([[b"\xff\x00"], [b""]], dtype=object)}),
    (definitions.loudness, {"text": TEXT}),
    (definitions.halve, {"x": np.array([[1, 2], [3, 5]], dtype=ml_dtypes.bfloat16)}),
    (definitions.norm, {"x": X}),
    (definitions.normed, {"x": X}),
    (definitions.normed, {"x": X[:0]}),
    (definitions.written, {"x": X}),
    (definitions.refilled, {"x": X}),
    (definitions.fused_normed, {"x": X[:0]}),
    (definitions.bls_normed, {"x": X[:0]}),
    (definitions.scored, {"x": X}),
    (definitions.left_out, {"x": X}),
    (definitions.by_way_of_a_pipeline, {"x": X}),
]
LOWERED = [
    (getattr(definitions, f"{lowering}_{definition.name}"), inputs)
    for lowering in ("fused", "bls", "auto")
    for definition, inputs in CALLS
    if hasattr(definitions, f"{lowering}_{definition.name}")
]
ROUTED: list[tuple[Any, dict[str, Any]]] = [
    (definitions.routed, {"x": X}),
    (definitions.routed, {"x": X + 50}),
    (definitions.asked, {"x": X}),
    (definitions.asked, {"x": X, "bonus": X}),
    (definitions.unbatched_within, {"x": X}),
    (definitions.unbatched_within, {"x": -X}),
    (definitions.forgiving, {"x": X}),
    (definitions.forgiving, {"x": -X - 1}),
    (definitions.over_others, {"x": X}),
    (definitions.over_others, {"x": -X - 1}),
    (definitions.in_slices, {"x": np.arange(33, dtype=np.float32).reshape(11, 3)}),
    (definitions.some_rows, {"x": np.arange(33, dtype=np.float32).reshape(11, 3)}),
    (definitions.some_rows, {"x": -X - 1}),
    (definitions.written_into, {"x": X}),
    (definitions.told, {"x": -X}),
    (definitions.folded, {"x": SIX}),
    (definitions.fused_refolded, {"x": SIX}),
    (definitions.bls_refolded, {"x": SIX}),
    (definitions.folded_by_halves, {"x": SIX}),
    (definitions.folded_by_halves, {"x": -SIX}),
]


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Build and serve all definitions."""
    repository = tmp_path_factory.mktemp("pipelines") / "model_repository"
    build([Path(definitions.__file__)], repository)
    with Server.embedded(repository, http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as running:
        yield running


@pytest.fixture(scope="module", params=["http", "grpc"])
def client(request: pytest.FixtureRequest, pipelines: Server) -> Iterator[Client]:
    """A client of each protocol."""
    with Client(pipelines.http_url if request.param == "http" else pipelines.grpc_url) as connected:
        yield connected


@pytest.mark.parametrize(
    ("definition", "inputs"), [*CALLS, *LOWERED, *ROUTED], ids=lambda value: getattr(value, "name", "")
)
def test_served_answers_equal_eager_ones(client: Client, definition: Any, inputs: dict[str, Any]) -> None:
    """The same type, the same dtypes and shapes, the same values to the last bit."""
    eager, served = definition(**inputs), client.call(definition, **inputs)
    assert type(served) is type(eager)
    for wanted, found in zip(_arrays(eager), _arrays(served), strict=True):
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_array_equal(found, wanted)


def test_the_smallest_batch_of_its_models_is_the_pipelines(client: Client) -> None:
    """`add` takes 16 rows, so `maybe` does; `double` alone takes 64."""
    assert client.config("maybe")["max_batch_size"] == 16
    many = np.ones((17, 3), np.float32)
    assert client.call(definitions.double, x=many).shape == (17, 3)
    with pytest.raises(InvalidRequest, match="16"):
        client.call(definitions.maybe, x=many)
    sizes = {name: client.config(name)["max_batch_size"] for name in ("scored", "fused_maybe", "fused_scored")}
    assert sizes == {"scored": 8, "fused_maybe": 16, "fused_scored": 32}


def test_a_refused_request_gets_the_models_own_words(client: Client) -> None:
    """A `TritonError` reaches the caller as it is."""
    with pytest.raises(InvalidRequest, match="below zero"):
        client.call(definitions.fussy, x=-X)


@pytest.mark.parametrize("name", ["partly", "fused_partly", "bls_partly"])
def test_any_of_the_outputs_can_be_asked_for(client: Client, name: str) -> None:
    """Those that other steps need, too, and those that come from a pipeline inside."""
    eager = definitions.partly(X)._asdict()
    for count in (1, 2, 3):
        for asked in itertools.combinations(eager, count):
            found = client.infer(name, outputs=asked, x=X).outputs
            assert found.keys() == set(asked)
            for output, array in found.items():
                np.testing.assert_array_equal(array.reshape(eager[output].shape), eager[output])


@pytest.mark.parametrize(
    ("name", "x"), [("refused", -X), ("refused_far_below", -X), ("refused_far_below", -X[:, :2])], ids=str
)
def test_an_error_in_a_called_model_names_it_and_keeps_its_code(client: Client, name: str, x: Any) -> None:
    """Triton 24.10 hands on INTERNAL for each of them; through an ensemble, too."""
    with pytest.raises(InvalidRequest, match=r"fussy.*: below zero") as caught:
        client.infer(name, x=x)
    assert "tritonforge_code" not in str(caught.value)


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (X, r"argument \"x\" is float64\[2, 3\]; wanted FP32\[batch, n\]"),
        (-X, 'argument "x" is a list; wanted an np.ndarray'),
    ],
    ids=["dtype", "type"],
)
def test_a_wrong_argument_of_a_call_is_told_with_its_line(client: Client, x: Any, said: str) -> None:
    with pytest.raises(ClientError, match=rf"double: {said}.*\(pipeline_definitions.py:\d+ in mistaken\)"):
        client.call(definitions.mistaken, x=x)


def test_requests_of_a_body_that_branches_are_answered_each_by_itself(client: Client) -> None:
    """Many at once, which take different branches."""
    inputs = [np.full((1, 2), value, np.float32) for value in (1, 200, 3, 40)] * 8
    with ThreadPoolExecutor(8) as threads:
        served = list(threads.map(lambda x: client.call(definitions.routed, x=x), inputs))
    for x, found in zip(inputs, served, strict=True):
        np.testing.assert_array_equal(found, definitions.routed(x=x))


def _arrays(result: Any) -> tuple[np.ndarray[Any, Any], ...]:
    return result if isinstance(result, tuple) else (result,)
