import numpy as np
from jaxtyping import Float32

from tritonforge import model, onnx, pipeline, torchscript

Rows = Float32[np.ndarray, "batch seq"]


@model(name=5)
def named(x: Rows) -> Rows:
    return x


@model(sequence=True)
class Counter:
    def start(self) -> int:
        return 0

    def __call__(self, state: int, x: Rows) -> Rows:
        return x


@model(pad=5, pad_to=5, parameters=5)
def padded(x: Rows) -> Rows:
    return x


@model(pad={"seq": 0}, pad_to={"seq": 5})
def bucketed(x: Rows) -> Rows:
    return x


@model(name="x" * 300)
def long(x: Rows) -> Rows:
    return x


@pipeline(name=5, batching=5)
def chained(x: Rows) -> Rows:
    return long(x)


unpathed = onnx(5)
undeclared = onnx("net.onnx", inputs=5)
script = torchscript(5, inputs=["x"], outputs={"y": Rows})
