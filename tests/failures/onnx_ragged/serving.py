from tritonforge import Tensor, onnx

classifier = onnx("classifier.onnx", tensors={"features": Tensor(allow_ragged_batch=True)})
