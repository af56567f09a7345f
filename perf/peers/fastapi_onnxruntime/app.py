"""The plain endpoint: what a user writes first, and often serves for years."""

from __future__ import annotations

import numpy as np
from fastapi import FastAPI
from peer_model import SIZE, load_model
from pydantic import BaseModel, Field

MODEL = load_model()


class Features(BaseModel):
    features: list[float] = Field(min_length=SIZE, max_length=SIZE)


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
    label, probability = MODEL(np.array([request.features], np.float32))
    return Answer(label=int(label[0]), probability=probability[0].tolist(), version="1")
