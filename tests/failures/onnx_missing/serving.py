from tritonforge import onnx

classifier = onnx("classifier.onnx")
