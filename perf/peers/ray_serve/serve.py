"""A deployment with @serve.batch: https://docs.ray.io/en/latest/serve/advanced-guides/dyn-req-batch.html."""

from __future__ import annotations

import os
import signal
from typing import Any

import numpy as np
import ray
from peer_model import BATCH, WORKERS, load_model
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=WORKERS, max_ongoing_requests=2 * BATCH, ray_actor_options={"num_cpus": 1})
class Classifier:
    def __init__(self) -> None:
        self.model = load_model()

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=0.0)
    async def predict(self, rows: list[list[float]]) -> list[dict[str, Any]]:
        labels, probabilities = self.model(np.array(rows, np.float32))
        return [
            {"label": label, "probability": probability, "version": "1"}
            for label, probability in zip(labels.tolist(), probabilities.tolist(), strict=True)
        ]

    async def __call__(self, request: Request) -> dict[str, Any]:
        return await self.predict((await request.json())["features"])


if __name__ == "__main__":
    ray.init(num_cpus=WORKERS + 1, include_dashboard=False, log_to_driver=False, _temp_dir=os.environ["PEER_SCRATCH"])
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PEER_PORT"])})
    serve.run(Classifier.bind(), route_prefix="/predict", name="classifier")
    signal.pause()
