from tritonforge import Control, ControlInput, SequenceBatching, State, onnx

START = ControlInput(name="start", controls=[Control(kind="start", int32_false_true=[0, 1])])


total = onnx(
    "total.onnx",
    sequence_batching=SequenceBatching(
        control_inputs=[START],
        states=[State(input_name="befor", output_name="aftr", data_type="FP32", dims=[1])],
    ),
)
