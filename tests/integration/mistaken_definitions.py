"""Models that make a mistake where a request asks for it, by the number that it sends."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64

from tritonforge import metrics, model

LABELLED = metrics.counter("mistaken_total", "Calls.\nOf labelled.")


@model
def labelled(n: Int64[np.ndarray, "1"]) -> Float32[np.ndarray, "1"]:
    LABELLED.inc(status=n.item())
    if n < 0:
        LABELLED.inc(**{"bad-label": "v"})
    return n.astype(np.float32)
