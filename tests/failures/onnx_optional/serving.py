import numpy as np
from jaxtyping import Float32

from tritonforge import onnx


scaled = onnx(
    "scaled.onnx",
    inputs={"x": Float32[np.ndarray, "4"] | None, "scale": Float32[np.ndarray, "1"]},
    outputs={"y": Float32[np.ndarray, "4"]},
)
