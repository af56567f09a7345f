"""The same cases through our four transports and tritonclient's four: the same answers, and the same errors."""

from __future__ import annotations

import asyncio
import inspect
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from feature_models import write_feature_models
from tritonclient.utils import InferenceServerException

from tritonforge.client import AsyncClient, Client, ClientError, InferenceFailed, InvalidRequest, ModelNotFound
from tritonforge.dtypes import DTYPES
from tritonforge.server import Server

KINDS = ("http", "grpc", "http.aio", "grpc.aio")
MODULES = {
    "http": tritonclient.http,
    "grpc": tritonclient.grpc,
    "http.aio": tritonclient.http.aio,
    "grpc.aio": tritonclient.grpc.aio,
}
ONE = np.ones((1, 1), np.float32)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("conformance_models")
    write_feature_models(folder)
    with Server.embedded(folder, http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as server:
        yield server


def url_of(served: Server, kind: str) -> str:
    return served.http_url if kind.startswith("http") else served.grpc_url


def ours(served: Server, kind: str, model: str, inputs: dict[str, np.ndarray], **options: Any) -> dict[str, np.ndarray]:
    """Infer through ours, twice: the second request of a kind takes a shorter way."""
    url = url_of(served, kind)
    if not kind.endswith("aio"):
        with Client(url) as client:
            first, again = (client.infer(model, inputs, **options).outputs for _ in range(2))
            assert same(first, again)
            return again

    async def main() -> dict[str, np.ndarray]:
        async with AsyncClient(url) as client:
            await client.infer(model, inputs, **options)
            return (await client.infer(model, inputs, **options)).outputs

    return asyncio.run(main())


def theirs(
    served: Server,
    kind: str,
    model: str,
    inputs: dict[str, np.ndarray],
    outputs: tuple[str, ...] = (),
    version: str = "",
    top: dict[str, int] | None = None,
    **options: Any,
) -> dict[str, np.ndarray]:
    """Infer through tritonclient's."""
    module = MODULES[kind]
    given = []
    for name, array in inputs.items():
        datatype = next((n for n, d in DTYPES.items() if d.numpy == array.dtype), "BYTES")
        tensor = module.InferInput(name, array.shape, datatype)
        tensor.set_data_from_numpy(array)
        given.append(tensor)
    asked = [module.InferRequestedOutput(n, class_count=(top or {}).get(n, 0)) for n in outputs] or None

    async def main() -> Any:
        client = module.InferenceServerClient(urllib.parse.urlsplit(url_of(served, kind)).netloc)
        try:
            answer = client.infer(model, given, version, outputs=asked, **options)
            return await answer if inspect.isawaitable(answer) else answer
        finally:
            closing = client.close()
            if inspect.isawaitable(closing):
                await closing

    result = asyncio.run(main())
    response = result.get_response()
    named = response["outputs"] if isinstance(response, dict) else response.outputs
    names = [entry["name"] if isinstance(entry, dict) else entry.name for entry in named]
    return {name: result.as_numpy(name) for name in names}


def same(mine: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    assert set(mine) == set(other)
    for name, array in mine.items():
        wanted = other[name].astype(array.dtype)
        assert array.shape == wanted.shape
        if array.dtype == object:
            assert array.tolist() == wanted.tolist()
        else:
            assert array.tobytes() == wanted.tobytes()
    return True


def sample(datatype: str) -> np.ndarray:
    if datatype == "BYTES":
        return np.array([[b"a", "ü".encode(), b""], [b"\x00\xff", b"b" * 1000, b"c\n"]], object)
    dtype = DTYPES[datatype].numpy
    if datatype == "BOOL":
        return np.array([[True, False, True]])
    if datatype.startswith(("FP", "BF")):
        return np.array([[0.1, -2.5, np.nan], [np.inf, -np.inf, -0.0]]).astype(dtype)
    return np.array([[np.iinfo(dtype).min, np.iinfo(dtype).max, 0]], dtype)


def test_all_transports_give_the_same_for_every_datatype(served):
    assert sample("BF16").dtype == ml_dtypes.bfloat16
    for datatype in DTYPES:
        suffix = "STRING" if datatype == "BYTES" else datatype
        inputs = {f"x_{suffix}": sample(datatype)}
        answers = [ours(served, kind, "identity", inputs) for kind in KINDS]
        for kind, answer in zip(KINDS, answers, strict=True):
            assert same(answer, theirs(served, kind, "identity", inputs))
        assert all(same(answer, answers[0]) for answer in answers)


CASES: dict[str, tuple[str, dict[str, np.ndarray], dict[str, Any]]] = {
    "no batch": ("plain", {"x_INT64": np.arange(5)}, {}),
    "no rows": ("plain", {"x_INT64": np.empty(0, np.int64)}, {}),
    "several": ("identity", {"x_FP32": ONE, "x_BOOL": ONE.astype(bool)}, {}),
    "some outputs": ("identity", {"x_FP32": ONE, "x_BOOL": ONE.astype(bool)}, {"outputs": ("y_BOOL",)}),
    "a version": ("identity", {"x_FP32": ONE}, {"version": "1"}),
    "a request id": ("identity", {"x_FP32": ONE}, {"request_id": "r-1"}),
    "not contiguous": ("identity", {"x_FP32": np.arange(64, dtype=np.float32).reshape(8, 8)[::2, ::3]}, {}),
    "large": ("identity", {"x_FP32": np.random.default_rng(0).random((4, 1 << 17), np.float32)}, {}),
    "an ensemble": ("chain", {"x": ONE * 0.001}, {}),
    "a sequence": (
        "adder",
        {"x": ONE},
        {"sequence_id": 77, "sequence_start": True, "sequence_end": True},
    ),
}


@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")  # aiohttp's, of tritonclient
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_case_gives_what_tritonclient_gives(served, kind, case):
    model, inputs, options = CASES[case]
    assert same(ours(served, kind, model, inputs, **options), theirs(served, kind, model, inputs, **options))


@pytest.mark.parametrize("kind", KINDS)
def test_classes_are_what_tritonclient_gives(served, kind):
    scores = np.array([[0.1, 0.7, 0.2]], np.float32)
    options: dict[str, Any] = {"outputs": ("scores",), "top": {"scores": 2}}
    mine = ours(served, kind, "labelled", {"x": scores}, **options)["scores"]
    other = theirs(served, kind, "labelled", {"x": scores}, **options)["scores"]
    assert [f"{label.value:f}:{label.number}:{label.name}".encode() for label in mine.ravel()] == other.ravel().tolist()


ERRORS: dict[str, tuple[str, dict[str, np.ndarray], dict[str, Any], type[ClientError]]] = {
    "the model's own": ("moody", {"x": ONE * 0}, {}, InferenceFailed),
    "an exception": ("moody", {"x": -ONE}, {}, InferenceFailed),
    "in an ensemble": ("chain", {"x": -ONE}, {}, InferenceFailed),
    "no model": ("nothing", {"x": ONE}, {}, ModelNotFound),
    "no version": ("moody", {"x": ONE}, {"version": "7"}, ModelNotFound),
    "no start": ("adder", {"x": ONE}, {"sequence_id": 123456}, InvalidRequest),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_the_same_and_have_the_words_of_triton(served, case):
    model, inputs, options, kind_of_error = ERRORS[case]
    for kind in KINDS:
        with pytest.raises(kind_of_error) as mine:
            ours(served, kind, model, inputs, **options)
        with pytest.raises(InferenceServerException) as other:
            theirs(served, kind, model, inputs, **options)
        words = other.value.message().strip()
        assert mine.value.reason.startswith(words) or words.startswith(mine.value.reason)
