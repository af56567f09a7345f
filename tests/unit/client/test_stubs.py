"""The typed client module: its text, its types, and what it notices."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tritonforge.client.metadata import ServedModel
from tritonforge.client.stub import SchemaChanged, Stub, check_schema, fingerprint, only, tensor
from tritonforge.client.stubs import generate, read_repository
from tritonforge.errors import TritonForgeError
from tritonforge.ir import Signature

ROOT = Path(__file__).resolve().parents[3]
SIGNATURE = Signature(
    (tensor("amount", "FP32"), tensor("in-put", "BYTES", "n", optional=True, text=True)),
    (tensor("class", "INT64"), tensor("score", "FP32", 2)),
    batched=True,
)
COUNT = Signature((tensor("upto", "INT32", 1),), (tensor("number", "INT32", 1),), batched=False, decoupled=True)
STUBS = [Stub("of-fer", SIGNATURE, only), Stub("count", COUNT, only)]
USE = """
from typing import Generator
from typing_extensions import assert_type
import numpy as np
from numpy.typing import NDArray
from made import COUNT, Models, OfFer, connect

def use(models: Models, x: NDArray[np.float32]) -> None:
    assert_type(models.of_fer(amount=x), OfFer)
    assert_type(models.of_fer(amount=x).score, NDArray[np.float32])
    for number in models.count(upto=np.array([1], np.int32)):
        assert_type(number, NDArray[np.int32])
    models.of_fer(amount="no")
"""


def test_the_module_is_strictly_typed_and_always_the_same(tmp_path):
    text = generate(STUBS)
    assert text == generate(STUBS)
    (tmp_path / "made.py").write_text(text, encoding="utf-8")
    (tmp_path / "use.py").write_text(USE)
    options = ["--strict", "--config-file=", "--follow-imports=silent", f"--cache-dir={ROOT / '.mypy_cache'}"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "use.py", "made.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert len(errors) == 1, done.stdout + done.stderr
    assert errors[0].startswith("use.py:13: ")


def test_a_stub_builds_its_result_in_the_models_order():
    stub = Stub("m", SIGNATURE, lambda *outputs: outputs)
    assert stub.wrap({"score": np.ones(2), "class": np.zeros(1)})[0].tolist() == [0]


class Describes:
    url = "http://h:1"

    def __init__(self, signature: Signature) -> None:
        self.signature = signature

    def describe(self, model: str, /) -> ServedModel:
        return ServedModel(model, ("1",), "", self.signature, 8)


def test_what_clients_see_alike_is_alike_and_a_change_is_noticed():
    served = Signature(
        (tensor("amount", "FP32", 1), tensor("in-put", "BYTES", "_", optional=True)),
        (tensor("class", "INT64", 1), tensor("score", "FP32", 2)),
        batched=True,
    )
    assert fingerprint([Stub("m", SIGNATURE, only)]) == fingerprint([Stub("m", served, only)])
    check_schema(Describes(served), [Stub("m", SIGNATURE, only)])
    with pytest.raises(SchemaChanged, match="generate it again\n  m: generated for"):
        check_schema(Describes(COUNT), [Stub("m", SIGNATURE, only)])


def test_a_repository_without_a_manifest_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(TritonForgeError, match="build the repository with tritonforge, or serve it"):
        read_repository(tmp_path)
    (tmp_path / "tritonforge.json").write_text("[]")
    with pytest.raises(TritonForgeError, match="not a manifest"):
        read_repository(tmp_path)
    with pytest.raises(TritonForgeError, match="no models"):
        generate([])


def test_the_committed_repository_gives_its_models():
    assert [stub.name for stub in read_repository(ROOT / "generated_repo")][:2] == ["breast_cancer", "classifier"]
