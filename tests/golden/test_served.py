"""The golden repository, moved to another folder, on a real Triton that sees nothing of the definitions."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from golden_tree import DEFINITIONS

from tritonforge.client import Client
from tritonforge.server import Server

X = np.linspace(-2, 2, 12, dtype=np.float32).reshape(4, 3)
BIAS = np.arange(4, dtype=np.float32)
TEXT = np.array([["one", "größer"], ["", "three"]], dtype=object)

CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("features", "clip", {"x": X}),
    ("features", "WeightedSum", {"x": X}),
    ("features", "WeightedSum", {"x": X, "bias": BIAS}),
    ("features", "shout", {"text": TEXT}),
    ("features", "sizes", {"raw": np.array([b"\xff\x00", b""], dtype=object)}),
    ("features", "halve", {"x": np.array([[1, 3]], dtype=ml_dtypes.bfloat16)}),
    ("features", "decorated", {"x": X}),
    ("features", "square", {"x": X}),
    ("features", "classifier", {"x": X}),
    ("shapes", "graded", {"x": X}),
    ("shapes", "flagged", {"x": X}),
    ("shapes", "flagged", {"x": X, "bias": BIAS}),
    ("shapes.pipelines", "fused", {"x": X, "bias": BIAS}),
]


@pytest.fixture(scope="module")
def definitions() -> Iterator[dict[str, ModuleType]]:
    """Import the definitions, for eager calls."""
    folders, before = [str(DEFINITIONS / "app"), str(DEFINITIONS / "lib")], set(sys.modules)
    sys.path[:0] = folders
    try:
        yield {name: importlib.import_module(name) for name in {module for module, *_ in CALLS}}
    finally:
        sys.path[:] = [folder for folder in sys.path if folder not in folders]
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", None)).startswith(str(DEFINITIONS)):
                del sys.modules[name]


@pytest.fixture(scope="module")
def client(golden_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Serve a copy of the repository."""
    moved = tmp_path_factory.mktemp("moved to elsewhere") / "models"
    shutil.copytree(golden_repository, moved)
    with (
        Server.embedded(moved, http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as server,
        Client(server.grpc_url) as connected,
    ):
        yield connected


@pytest.mark.parametrize(("module", "name", "inputs"), CALLS, ids=lambda value: value if isinstance(value, str) else "")
def test_served_answers_equal_eager_ones(
    client: Client, definitions: dict[str, ModuleType], module: str, name: str, inputs: dict[str, Any]
) -> None:
    definition = getattr(definitions[module], name)
    eager, served = definition(**inputs), client.call(definition, **inputs)
    assert type(served) is type(eager)
    for wanted, found in zip(*(one if isinstance(one, tuple) else (one,) for one in (eager, served)), strict=True):
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_array_equal(found, wanted)
