"""The models of the runtime's own tests."""

from __future__ import annotations

from pathlib import Path

from runtime_support import write_model, write_python_model

TORCH_OUTPUTS = {"torch_index": ("OUTPUT__0", "OUTPUT__1"), "torch_names": ("difference", "total")}

BATCHED = "max_batch_size: 16 dynamic_batching { max_queue_delay_microseconds: 50000 }"


def write(repository: Path) -> None:
    """Write all models."""
    _write_python(repository)
    _write_streams(repository)
    _write_onnx(repository)
    _write_torch(repository)
    _write_ragged(repository)


def tensors(kind: str, *specs: str) -> str:
    """Write `name TYPE dims [more]` as entries of a configuration."""
    entries = []
    for spec in specs:
        name, datatype, dims, *more = spec.split(" ", 3)
        entries.append(f'{kind} {{ name: "{name}" data_type: TYPE_{datatype} dims: {dims} {" ".join(more)} }}')
    return " ".join(entries)


def _io(inputs: list[str], outputs: list[str]) -> str:
    return f"{tensors('input', *inputs)} {tensors('output', *outputs)}"


def _parameters(values: dict[str, str]) -> str:
    return " ".join(
        f'parameters {{ key: "{key}" value: {{ string_value: "{value}" }} }}' for key, value in values.items()
    )


def _write_python(repository: Path) -> None:
    for name, config, source, options in PYTHON:
        write_python_model(repository, name, config, source, **options)
    version = write_python_model(
        repository, "utf8", f"max_batch_size: 0 {_io(['x STRING [1]'], ['y STRING [4]'])}", UTF8, text=("x",)
    )
    (version / "source" / "tä.txt").write_text("größe", encoding="utf-8")
    (version / "source" / "mödul.py").write_text("VALUE = 'ü'\n", encoding="utf-8")


UTF8 = """
import subprocess
import numpy as np
import mödul
from tritonforge import asset

def predict(x):
    print("printed", x[0], flush=True)
    with open(asset("tä.txt")) as file:
        text = file.read()
    echoed = subprocess.run(["cat"], input="ß", capture_output=True, text=True).stdout
    return np.array([text, mödul.VALUE, echoed, x[0]], object)
"""

PYTHON = [
    (
        "stacked",
        f"{BATCHED} {_io(['x FP32 [2]'], ['y FP32 [2]', 'rows INT64 [1]'])}",
        """
import numpy as np
from jaxtyping import Float32
from tritonforge import Batching, model

@model(batching=Batching(max_batch_size=16))
def predict(x: Float32[np.ndarray, "batch 2"]):
    return x * 2, np.full((len(x), 1), len(x))
""",
        {},
    ),
    (
        "picky",
        f"{BATCHED} {_io(['x FP32 [1]'], ['rows INT64 [1]'])}",
        """
import numpy as np
from tritonforge import model

def check(x):
    for value in x.ravel():
        if value < 0:
            raise ValueError(f"{value} is negative")

@model
def predict(x):
    check(x)
    return np.full((len(x), 1), 1)
""",
        {},
    ),
    (
        "refusing",
        f"max_batch_size: 4 {_io(['code STRING [1]'], ['y STRING [1]'])}",
        """
from tritonforge import TritonError

def predict(code):
    raise TritonError("no such customer", code=code.item())
""",
        {"text": ("code",)},
    ),
    (
        "wrong",
        f"max_batch_size: 4 {_io(['x FP32 [1]'], ['y FP32 [1]'])}",
        "\ndef predict(x):\n    return x.astype(float)\n",
        {},
    ),
    (
        "optional",
        f"max_batch_size: 4 {_io(['x FP32 [1]', 'z FP32 [1] optional: true'], ['y FP32 [1]'])}",
        "\ndef predict(x, z):\n    return x if z is None else x + z\n",
        {},
    ),
    (
        "texts",
        "max_batch_size: 4 "
        + _io(["title STRING [1]", "raw STRING [1]"], ["upper STRING [1]", "same STRING [1]", "length INT64 [1]"]),
        """
import numpy as np

def predict(title, raw):
    assert all(isinstance(item, bytes) for item in raw.ravel())
    upper = np.array([[item.upper() for item in row] for row in title])
    return {"upper": upper, "same": raw, "length": np.array([[len(row[0])] for row in title])}
""",
        {"text": ("title",)},
    ),
    (
        "rank1",
        "max_batch_size: 4 "
        + _io(
            ["x FP32 [1] reshape: { shape: [] }"],
            ["y FP32 [1] reshape: { shape: [] }", "shape INT64 [1] reshape: { shape: [] }"],
        ),
        """
import numpy as np

def predict(x):
    assert x.ndim == 1
    return np.full_like(x, x.sum()), np.full(len(x), len(x))
""",
        {},
    ),
    (
        "brain",
        f"max_batch_size: 4 {_io(['x BF16 [2]'], ['y BF16 [2]'])}",
        "\nimport ml_dtypes\n\ndef predict(x):\n    assert x.dtype == ml_dtypes.bfloat16\n"
        "    return x * ml_dtypes.bfloat16(2)\n",
        {},
    ),
    (
        "unbatched",
        f"max_batch_size: 0 {_io(['x INT64 [-1]'], ['total INT64 [1]'])}",
        "\ndef predict(x):\n    return x.sum(keepdims=True)\n",
        {},
    ),
    (
        "counter",
        f"max_batch_size: 4 {_io(['x FP32 [1]'], ['y FP32 [1]'])}",
        """
from tritonforge import Instances, model

@model(instances=Instances(cpu=1))
class Counter:
    def __init__(self):
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        return x + self.calls
""",
        {"attribute": "Counter"},
    ),
    (
        "broken",
        f"max_batch_size: 4 {_io(['x FP32 [1]'], ['y FP32 [1]'])}",
        "\n\nimport nothing_of_that_name\n",
        {},
    ),
]


def _write_streams(repository: Path) -> None:
    mark = repository / "closed.mark"
    write_python_model(
        repository,
        "count",
        f"max_batch_size: 4 model_transaction_policy {{ decoupled: true }} {_io(['n INT64 [1]'], ['y INT64 [1]'])}",
        f"""
import time
from pathlib import Path
import numpy as np

def predict(n):
    if n.item() < 0:
        raise ValueError(f"{{n.item()}} is negative")
    try:
        for index in range(n.item()):
            yield np.array([[index]])
            if index > 100:
                time.sleep(0.01)
    except GeneratorExit:
        Path({str(mark)!r}).touch()
        raise
""",
    )
    write_python_model(
        repository,
        "closed",
        f"max_batch_size: 4 {_io(['x FP32 [1]'], ['y FP32 [1]'])}",
        f"from pathlib import Path\n\ndef predict(x):\n    return x + Path({str(mark)!r}).exists()\n",
    )


def _write_onnx(repository: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    def graph(inputs: list[object], outputs: list[object], nodes: list[object], initializers: list[object]) -> object:
        made = helper.make_graph(nodes, "graph", inputs, outputs, initializers)
        return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)

    def info(name: str, kind: int, *dims: int | str) -> object:
        return helper.make_tensor_value_info(name, kind, dims)

    one = helper.make_tensor("one", TensorProto.FLOAT, [2], [1.0, 1.0])
    axis = helper.make_tensor("axis", TensorProto.INT64, [1], [1])
    plain = graph(
        [info("x", TensorProto.FLOAT, "batch", 2)],
        [info("y", TensorProto.FLOAT, "batch", 2), info("label", TensorProto.INT64, "batch")],
        [
            helper.make_node("Add", ["x", "one"], ["y"]),
            helper.make_node("ReduceSum", ["x", "axis"], ["sum"], keepdims=0),
            helper.make_node("Cast", ["sum"], ["label"], to=TensorProto.INT64),
        ],
        [one, axis],
    )
    full = _io(["x FP32 [2]"], ["y FP32 [2]", "label INT64 [1] reshape: { shape: [] }"])
    parameters = _parameters({"intra_op_thread_count": "1", "execution_mode": "1", "enable_mem_arena": "0"})
    configs = {
        "onnx_full": f'backend: "onnxruntime" {BATCHED} {full} {parameters} optimization {{ graph {{ level: 1 }} }}',
        "onnx_bare": None,
        "onnx_wrong": f'backend: "onnxruntime" max_batch_size: 4 {_io(["x FP32 [3]"], ["y FP32 [2]"])}',
        "onnx_accelerator": 'backend: "onnxruntime" optimization { execution_accelerators {'
        ' cpu_execution_accelerator { name: "xnnpack" } } }',
        "onnx_parameter": 'backend: "onnxruntime" parameters { key: "execution_mode" value: { string_value: "7" } }',
    }
    for name, config in configs.items():
        onnx.save(plain, write_model(repository, name, config) / "model.onnx")
    folder = write_model(repository, "onnx_folder", 'platform: "onnxruntime_onnx"') / "model.onnx"
    folder.mkdir()
    onnx.save(plain, folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    strings = graph(
        [info("x", TensorProto.STRING, "batch", 1)],
        [info("y", TensorProto.STRING, "batch", 1)],
        [helper.make_node("Identity", ["x"], ["y"])],
        [],
    )
    onnx.save(strings, write_model(repository, "onnx_strings", None) / "model.onnx")
    unbatched = graph(
        [info("x", TensorProto.FLOAT, 3)],
        [info("total", TensorProto.FLOAT)],
        [helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0)],
        [],
    )
    onnx.save(unbatched, write_model(repository, "onnx_unbatched", None) / "model.onnx")
    bias = helper.make_tensor("bias", TensorProto.FLOAT, [1, 2], [10.0, 10.0])
    optional = graph(
        [info("x", TensorProto.FLOAT, "batch", 2), info("bias", TensorProto.FLOAT, "batch", 2)],
        [info("y", TensorProto.FLOAT, "batch", 2)],
        [helper.make_node("Add", ["x", "bias"], ["y"])],
        [bias],
    )
    config = _io(["x FP32 [2]", "bias FP32 [2] optional: true"], ["y FP32 [2]"])
    onnx.save(
        optional,
        write_model(repository, "onnx_optional", f'backend: "onnxruntime" max_batch_size: 4 {config}') / "model.onnx",
    )


def _write_ragged(repository: Path) -> None:
    """Graphs and modules that get their requests end to end."""
    import onnx
    import runtime_torch
    from onnx import TensorProto, helper

    infos = {
        "x": (TensorProto.FLOAT, ["total"]),
        "ends": (TensorProto.INT32, ["requests"]),
        "shapes": (TensorProto.FLOAT, ["rows", "rank"]),
        "doubled": (TensorProto.FLOAT, ["total"]),
        "last": (TensorProto.FLOAT, ["requests", 1]),
        "width": (TensorProto.FLOAT, ["rows", "rank"]),
    }
    made = {name: helper.make_tensor_value_info(name, *kind) for name, kind in infos.items()}
    nodes = [
        helper.make_node("Add", ["x", "x"], ["doubled"]),
        helper.make_node("Cast", ["ends"], ["long_ends"], to=TensorProto.INT64),
        helper.make_node("Sub", ["long_ends", "one"], ["places"]),
        helper.make_node("Gather", ["x", "places"], ["taken"]),
        helper.make_node("Unsqueeze", ["taken", "one"], ["last"]),
        helper.make_node("Identity", ["shapes"], ["width"]),
    ]
    one = helper.make_tensor("one", TensorProto.INT64, [1], [1])
    graph = helper.make_graph(nodes, "ragged", list(made.values())[:3], list(made.values())[3:], [one])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    ends = """batch_input {
        kind: BATCH_ACCUMULATED_ELEMENT_COUNT target_name: "ends" data_type: TYPE_INT32 source_input: "x" }"""
    config = f"""{BATCHED} {
        _io(["x FP32 [-1] allow_ragged_batch: true"], ["doubled FP32 [-1]", "last FP32 [1]", "width FP32 [1]"])
    }
        {ends}
        batch_input {{ kind: BATCH_ITEM_SHAPE target_name: "shapes" data_type: TYPE_FP32 source_input: "x" }}
        batch_output {{ kind: BATCH_SCATTER_WITH_INPUT_SHAPE target_name: "doubled" source_input: "x" }}"""
    onnx.save(model, write_model(repository, "onnx_ragged", f'backend: "onnxruntime" {config}') / "model.onnx")

    config = f"""{BATCHED} {_io(["x FP32 [-1] allow_ragged_batch: true"], ["doubled__0 FP32 [-1]", "last__1 FP32 [1]"])}
        {ends}
        batch_output {{ kind: BATCH_SCATTER_WITH_INPUT_SHAPE target_name: "doubled__0" source_input: "x" }}"""
    version = write_model(repository, "torch_ragged", f'backend: "pytorch" {config}')
    runtime_torch.save(runtime_torch.Last(), version)


def _write_torch(repository: Path) -> None:
    import runtime_torch

    for name, inputs in {"torch_index": ("INPUT__0", "INPUT__1"), "torch_names": ("b", "a")}.items():
        first, second = TORCH_OUTPUTS[name]
        io = _io([f"{each} FP32 [2]" for each in inputs], [f"{first} FP32 [2]", f"{second} FP32 [1]"])
        folder = write_model(repository, name, f'backend: "pytorch" max_batch_size: 4 {io}')
        runtime_torch.save(runtime_torch.Pair(), folder, trace=True)
    runtime_torch.save(runtime_torch.Pair(), write_model(repository, "torch_bare", None))
    for name, module, io in (
        ("torch_dict", runtime_torch.Dictionary(), _io(["x FP32 [2]"], ["double FP32 [2]"])),
        ("torch_brain", runtime_torch.Brain(), _io(["x BF16 [2]", "factor BF16 [2] optional: true"], ["y BF16 [2]"])),
    ):
        config = f'platform: "pytorch_libtorch" max_batch_size: 4 {io}'
        runtime_torch.save(module, write_model(repository, name, config))
    settings = _parameters({"INFERENCE_MODE": "off", "ENABLE_JIT_EXECUTOR": "false", "ENABLE_TENSOR_FUSER": "false"})
    io = _io(["b FP32 [2]", "a FP32 [2]"], ["OUTPUT__1 FP32 [2]"])
    config = f'backend: "pytorch" {BATCHED} {io} {settings}'
    runtime_torch.save(runtime_torch.Difference(), write_model(repository, "torch_difference", config))
    config = f'backend: "pytorch" {_io(["x STRING [-1]"], ["y STRING [-1]"])}'
    runtime_torch.save(runtime_torch.Strings(), write_model(repository, "torch_strings", config))
