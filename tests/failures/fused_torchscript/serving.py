import numpy as np
from jaxtyping import Float32

from tritonforge import pipeline, torchscript


network = torchscript(
    "network.pt",
    inputs={"input": Float32[np.ndarray, "batch 2"]},
    outputs={"y": Float32[np.ndarray, "batch 2"]},
)


@pipeline(lowering="fused")
def fraud(x: Float32[np.ndarray, "batch 2"]) -> Float32[np.ndarray, "batch 2"]:
    return network(x)
