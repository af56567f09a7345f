"""A service with adaptive batching: https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html."""

from __future__ import annotations

import bentoml
import numpy as np
from peer_model import BATCH, WORKERS, load_model


@bentoml.service(workers=WORKERS)
class Classifier:
    def __init__(self) -> None:
        self.model = load_model()

    @bentoml.api(batchable=True, batch_dim=0, max_batch_size=BATCH)
    def predict(self, features: np.ndarray) -> list[dict]:
        labels, probabilities = self.model(features.astype(np.float32))
        return [
            {"label": label, "probability": probability, "version": "1"}
            for label, probability in zip(labels.tolist(), probabilities.tolist(), strict=True)
        ]
