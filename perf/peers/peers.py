"""The peers: how each one is installed, started and asked; the files of each are in a folder of its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["PEERS", "TRITON", "Peer"]

Row = list[float]


@dataclass(frozen=True, slots=True)
class Peer:
    """A serving framework: `command` runs in its environment and folder, with `{port}` and `{workers}` filled in."""

    name: str
    folder: str
    command: tuple[str, ...]
    path: str
    health: str
    body: Callable[[Row], Any]
    label: Callable[[Any], int]

    def start(self, port: int, workers: int) -> Sequence[str]:
        """Give the command line, the program still without its environment's folder."""
        return [word.format(port=port, workers=workers) for word in self.command]


def _fastapi(name: str, folder: str) -> Peer:
    return Peer(
        name,
        folder,
        ("uvicorn", "app:app", "--host", "127.0.0.1", "--port", "{port}", "--workers", "{workers}", "--no-access-log"),
        "/predict",
        "/health",
        lambda row: {"features": row},
        lambda answer: int(answer["label"]),
    )


PEERS = {
    "fastapi_sklearn": _fastapi("FastAPI, scikit-learn", "fastapi_sklearn"),
    "fastapi_onnxruntime": _fastapi("FastAPI, onnxruntime", "fastapi_onnxruntime"),
}
TRITON = Peer(
    "tritonforge",
    "",
    (),
    "/v2/models/fused/infer",
    "/v2/health/ready",
    lambda row: {"inputs": [{"name": "features", "shape": [1, 30], "datatype": "FP32", "data": row}]},
    lambda answer: int(next(output["data"][0] for output in answer["outputs"] if output["name"] == "label")),
)
