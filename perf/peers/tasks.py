"""The models that are measured: their rows as each server wants them, and the answers that eager Python gives."""

from __future__ import annotations

import importlib
import json
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from environments import PeerFailed, Running
from numpy.typing import NDArray
from peers import Peer

from tritonforge.load import HttpRequest
from tritonforge.load.input.plain_http import pick

__all__ = ["TASKS", "Task", "check_answers", "request"]

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-4
CHECKED = 40


@dataclass(frozen=True, slots=True)
class Task:
    """A model: the folder that peers load it from, its input as the protocol has it, rows and the right answers."""

    name: str
    title: str
    folder: Path
    input: str
    datatype: str
    rows: NDArray[Any]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]


def _task(name: str, title: str, folder: Path, input_name: str, datatype: str) -> Task:
    example = ROOT / "examples" / name
    sys.path.insert(0, str(example))
    try:
        pipeline = getattr(importlib.import_module(name), name)
        rows = dict(np.load(example / "holdout.npz"))[input_name][:CHECKED]
        answer = pipeline(**{input_name: rows})
    finally:
        sys.path.remove(str(example))
    return Task(name, title, folder, input_name, datatype, rows, answer[0], answer[1])


def _newest(model: Path) -> Path:
    """Give the folder of a built model's newest version."""
    return max((file.parent for file in model.glob("*/model.onnx")), key=lambda folder: int(folder.name))


TASKS: dict[str, Callable[[], Task]] = {
    "breast_cancer": lambda: _task(
        "breast_cancer",
        "the classifier: 30 floats, a scaler, boosted trees",
        ROOT / "examples" / "breast_cancer",
        "features",
        "FP32",
    ),
    "digits": lambda: _task(
        "digits",
        "digits: 8 × 8 pixels, a small convolutional network, softmax",
        _newest(ROOT / "generated_repo" / "network"),
        "image",
        "UINT8",
    ),
}


def request(peer: Peer, task: Task, row: int = 0) -> HttpRequest:
    """Write the request of a row as a server wants it, with the answer that it must give."""
    values = task.rows[row].ravel().tolist()
    body: Any = {"features": [values] if peer.body == "rows" else values}
    if peer.body == "v2":
        body = {"inputs": [{"name": "features", "shape": [1, len(values)], "datatype": "FP32", "data": values}]}
    if peer.body == "typed":
        shape = [1, *task.rows.shape[1:]]
        body = {"inputs": [{"name": task.input, "shape": shape, "datatype": task.datatype, "data": values}]}
    expected = {
        peer.label: (float(task.labels[row]),),
        peer.probability: tuple(task.probabilities[row].astype(float).tolist()),
    }
    return HttpRequest(peer.path, json.dumps(body), expected=expected, tolerance=TOLERANCE)


def check_answers(peer: Peer, task: Task, server: Running) -> None:
    """Ask for all rows, one at a time. Raise PeerFailed where an answer isn't eager Python's."""
    for row in range(len(task.rows)):
        wanted = request(peer, task, row)
        asked = urllib.request.Request(
            server.url + wanted.path, wanted.body.encode(), {"Content-Type": wanted.content_type}
        )
        try:
            with urllib.request.urlopen(asked, timeout=30) as response:
                found = pick(response.read(), wanted.expected)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise PeerFailed(f"row {row}: {type(error).__name__}: {error}") from error
        for place, values in wanted.expected.items():
            got = found[place].ravel()
            if got.size != len(values) or not np.allclose(got, values, TOLERANCE, TOLERANCE):
                raise PeerFailed(f"row {row}: {place} is {got}, eager Python says {values}")
