"""A class is made for each copy when Triton loads it, and finalized when it is unloaded or the server ends."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from repositories import until

from tritonforge.build import build
from tritonforge.client import Client
from tritonforge.server import Server

SERVING = """
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from tritonforge import Instance, Instances, model, pipeline


class Marking:
    def __init__(self, instance: Instance) -> None:
        self.name = instance.name
        Path(FOLDER, f"{self.name} made").touch()

    def __call__(self, x: Float32[np.ndarray, "batch"]) -> Float32[np.ndarray, "batch"]:
        return x

    def finalize(self) -> None:
        Path(FOLDER, f"{self.name} finalized").touch()


Unloaded = model(instances=Instances(cpu=2))(Marking)
Ended = model(Marking)


@pipeline(lowering="fused")
def fused(x: Float32[np.ndarray, "batch"]) -> Float32[np.ndarray, "batch"]:
    return Ended(x)
"""
COPIES = {"Unloaded_0_0", "Unloaded_0_1", "Ended_0_0", "fused_0_0"}


def test_each_copy_is_made_once_and_finalized_once(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()

    def marked(what: str) -> set[str]:
        return {file.name.removesuffix(f" {what}") for file in marks.iterdir() if file.name.endswith(what)}

    (tmp_path / "lifecycle.py").write_text(SERVING.replace("FOLDER", repr(str(marks))))
    build((tmp_path / "lifecycle.py",), tmp_path / "repository")
    sys.modules.pop("lifecycle", None)
    ports = {"http_port": 0, "grpc_port": 0, "metrics_port": 0}
    with (
        Server.embedded(tmp_path / "repository", model_control="explicit", **ports) as server,
        Client(server.grpc_url) as client,
    ):
        assert client.infer("fused", x=np.ones((1, 1), np.float32)).output.tolist() == [[1]]
        assert (marked("made"), marked("finalized")) == (COPIES, set())

        server.unload("Unloaded")
        until(lambda: len(marked("finalized")) == 2, "the copies' finalize")
        assert marked("finalized") == {"Unloaded_0_0", "Unloaded_0_1"}

    assert marked("finalized") == COPIES
