"""The plain endpoint: what a user writes first, and often serves for years."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnxruntime
from fastapi import FastAPI
from pydantic import BaseModel, Field

FOLDER = Path(os.environ["PEER_MODEL"])
STATS = dict(np.load(FOLDER / "stats.npz"))
OPTIONS = onnxruntime.SessionOptions()
OPTIONS.intra_op_num_threads = 1
SESSION = onnxruntime.InferenceSession(FOLDER / "classifier.onnx", OPTIONS, providers=["CPUExecutionProvider"])


class Features(BaseModel):
    features: list[float] = Field(min_length=30, max_length=30)


class Answer(BaseModel):
    label: int
    probability: list[float]
    version: str


app = FastAPI()


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/predict")
def predict(request: Features) -> Answer:
    row = np.array([request.features], np.float32)
    label, probability = SESSION.run(None, {"features": ((row - STATS["mean"]) / STATS["std"]).astype(np.float32)})
    return Answer(label=int(label[0]), probability=probability[0].tolist(), version="1")
