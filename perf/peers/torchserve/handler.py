"""A handler that takes a batch: https://pytorch.org/serve/batch_inference_with_ts.html."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from peer_model import load_model


class Handler:
    def initialize(self, context: Any) -> None:
        self.model = load_model()

    def handle(self, requests: list[dict[str, Any]], context: Any) -> list[dict[str, Any]]:
        rows = np.array([_document(request)["features"] for request in requests], np.float32)
        labels, probabilities = self.model(rows)
        return [
            {"label": label, "probability": probability, "version": "1"}
            for label, probability in zip(labels.tolist(), probabilities.tolist(), strict=True)
        ]


def _document(request: dict[str, Any]) -> dict[str, Any]:
    body = request.get("body")
    return body if isinstance(body, dict) else json.loads(body)


_HANDLER = Handler()


def handle(data: list[dict[str, Any]] | None, context: Any) -> list[dict[str, Any]] | None:
    """Be what TorchServe calls: without data, to get ready."""
    if data is None:
        _HANDLER.initialize(context)
        return None
    return _HANDLER.handle(data, context)
