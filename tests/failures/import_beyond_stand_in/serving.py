from typing import TYPE_CHECKING

import numpy as np
from helper import double
from jaxtyping import Float32

import tritonforge.client
from tritonforge import metrics, model
from tritonforge.metrics import Counter

if TYPE_CHECKING:
    from tritonforge.client import Result

calls: Counter = metrics.Counter("calls", "Calls.")


@model
def ask(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    calls.inc()
    return double(features)


@model
def ask_later(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    from later import answer

    return answer(features)


if __name__ == "__main__":
    from tritonforge.server import Server

    print(Server, tritonforge.client.Client)
