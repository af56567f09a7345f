"""A LitServer with batching and ZeroMQ queues: https://lightning.ai/docs/litserve/features/batching.

What `decode_request` takes is not annotated, as in its documentation: FastAPI would read the annotation.
"""

from __future__ import annotations

import os
from typing import Any

import litserve as ls
import numpy as np
from peer_model import BATCH, WORKERS, load_model


class Classifier(ls.LitAPI):
    def setup(self, device: str) -> None:
        self.model = load_model()

    def decode_request(self, request):
        return np.array(request["features"], np.float32)

    def batch(self, inputs: list[Any]) -> Any:
        return np.stack(inputs)

    def predict(self, rows: Any) -> Any:
        return self.model(rows)

    def unbatch(self, output: Any) -> list[Any]:
        return list(zip(*output, strict=True))

    def encode_response(self, output: Any) -> dict[str, Any]:
        label, probability = output
        return {"label": int(label), "probability": probability.tolist(), "version": "1"}


if __name__ == "__main__":
    # With a batch_timeout of 0 each worker spins on its queue, and takes half a core while it idles (0.2.19).
    server = ls.LitServer(
        Classifier(max_batch_size=BATCH, batch_timeout=0.001),
        accelerator="cpu",
        workers_per_device=WORKERS,
        fast_queue=True,
    )
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PEER_PORT"]),
        num_api_servers=WORKERS,
        log_level="warning",
        generate_client_file=False,
    )
