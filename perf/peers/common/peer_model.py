"""The model that a peer serves, as the example computes it; for each peer's environment: numpy and onnxruntime alone.

PEER_MODEL names it, PEER_FOLDER has its files.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

__all__ = ["BATCH", "SIZE", "WORKERS", "Predict", "load_model"]

Predict = Callable[[NDArray[np.float32]], tuple[NDArray[np.int64], NDArray[np.float32]]]
"""Rows to labels, and the probability of each class."""

BATCH = 64
WORKERS = int(os.environ.get("PEER_WORKERS", "1"))
_NAME = os.environ["PEER_MODEL"]
_FOLDER = Path(os.environ["PEER_FOLDER"])
SIZE = {"breast_cancer": 30, "digits": 64}[_NAME]


def load_model() -> Predict:
    """Load the model that the environment names."""
    return _breast_cancer() if _NAME == "breast_cancer" else _digits()


def _session(name: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(_FOLDER / name, options, providers=["CPUExecutionProvider"])


def _breast_cancer() -> Predict:
    stats, session = dict(np.load(_FOLDER / "stats.npz")), _session("classifier.onnx")

    def predict(rows: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        label, probability = session.run(None, {"features": ((rows - stats["mean"]) / stats["std"]).astype(np.float32)})
        return label, probability

    return predict


def _digits() -> Predict:
    session = _session("model.onnx")
    name = session.get_inputs()[0].name

    def predict(rows: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        (logits,) = session.run(None, {name: rows.reshape(-1, 1, 8, 8) / np.float32(16)})
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return logits.argmax(axis=1), odds / odds.sum(axis=1, keepdims=True)

    return predict
