"""A project of definitions in a folder, and how to build and read it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from tritonforge.build import BuildReport, build, check_build
from tritonforge.errors import DiagnosticError

HEAD = """\
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from tritonforge import Batching, asset, model, onnx, pipeline

"""

SCALE = """
@model
def {name}(x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
    return x * {factor}
"""


def scale(name: str = "scale", factor: int = 2) -> str:
    """Write the Python of a model."""
    return SCALE.format(name=name, factor=factor)


@dataclass
class Project:
    """Files of definitions, and the repository that is built of them."""

    root: Path
    output: Path

    def write(self, files: dict[str, str | bytes]) -> None:
        """Write files; Python of definitions (`model(` or `pipeline` in it) gets its imports."""
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                defines = name.endswith(".py") and any(word in content for word in ("@model", "@pipeline", "= onnx("))
                head = HEAD if defines and "tritonforge" not in content else ""
                path.write_text(head + content)
            else:
                path.write_bytes(content)

    def build(self, *paths: str, output: Path | None = None) -> BuildReport:
        """Build `serving.py`, or the paths."""
        return build([self.root / path for path in paths or ("serving.py",)], output or self.output)

    def check(self, *paths: str) -> str:
        """Give the difference to what a build would write."""
        return check_build([self.root / path for path in paths or ("serving.py",)], self.output)

    def refused(self, *paths: str) -> str:
        """Build what is wrong; give the message."""
        with pytest.raises(DiagnosticError) as raised:
            self.build(*paths)
        return str(raised.value)

    def manifest(self) -> dict[str, Any]:
        """Read the manifest's models."""
        models: dict[str, Any] = json.loads((self.output / "tritonforge.json").read_bytes())["models"]
        return models

    def versions(self) -> dict[str, int]:
        """Give the version of each model."""
        return {name: model["version"] for name, model in self.manifest().items()}

    def sources(self, name: str) -> list[str]:
        """List the user's files of a model, below its version folder's source/."""
        (version,) = [path for path in (self.output / name).iterdir() if path.is_dir()]
        return sorted(path.relative_to(version / "source").as_posix() for path in (version / "source").rglob("*.*"))

    def shim(self, name: str) -> str:
        """Read the generated model.py."""
        (path,) = (self.output / name).glob("*/model.py")
        return path.read_text()


def tree(folder: Path) -> dict[str, bytes]:
    """Read all files below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def until(condition: Callable[[], bool], *, timeout_s: float = 20) -> bool:
    """Poll until something holds; give whether it came to hold in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def strays(folder: Path, expected: Sequence[str]) -> list[str]:
    """List what is in a folder and isn't expected there."""
    return sorted(name for name in os.listdir(folder) if name not in expected)


def write(repository: Path, files: Mapping[str, str | bytes]) -> None:
    """Write a repository made by hand: texts, or bytes, by their paths."""
    for path, content in files.items():
        (repository / path).parent.mkdir(parents=True, exist_ok=True)
        (repository / path).write_bytes(content if isinstance(content, bytes) else dedent(content).encode())


def read_config(path: Path) -> model_config_pb2.ModelConfig:
    """Read a config.pbtxt, as Triton's own client knows it; the name is that of its folder where it says none."""
    config = text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())
    config.name = config.name or path.parent.name
    return config
