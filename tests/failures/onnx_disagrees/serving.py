import numpy as np
from jaxtyping import Float32

from tritonforge import onnx


classifier = onnx(
    "classifier.onnx",
    inputs={"features": Float32[np.ndarray, "batch 20"]},
    outputs={"label": Float32[np.ndarray, "batch"], "score": Float32[np.ndarray, "batch"]},
)
