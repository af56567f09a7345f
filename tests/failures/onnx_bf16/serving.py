from tritonforge import onnx

brain = onnx("brain.onnx")
