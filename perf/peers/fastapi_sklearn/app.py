"""The plain endpoint on the estimator itself, as it comes out of training: what most users write first.

The estimator is fitted here, as train.py of the example does, instead of loaded from a joblib file of another version.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel, Field
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.model_selection import train_test_split

SEED = 20
STATS = dict(np.load(Path(os.environ["PEER_FOLDER"]) / "stats.npz"))
DATA = load_breast_cancer()
FEATURES, _, LABELS, _ = train_test_split(
    DATA.data.astype(np.float32), DATA.target, test_size=0.25, random_state=SEED, stratify=DATA.target
)
ESTIMATOR = GradientBoostingClassifier(random_state=SEED).fit((FEATURES - STATS["mean"]) / STATS["std"], LABELS)


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
    row = (np.array([request.features], np.float32) - STATS["mean"]) / STATS["std"]
    probability = ESTIMATOR.predict_proba(row)[0]
    return Answer(label=int(probability.argmax()), probability=probability.tolist(), version="1")
