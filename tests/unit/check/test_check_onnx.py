"""ONNX files beside their configuration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tritonforge.check import check_repository

ONNX = 'backend: "onnxruntime"\n'


def write(repository: Path, config: str, *, batch: int | str = "n") -> None:
    """Write a model whose graph is y = x, FP32[batch, 4]."""
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", info[:1], info[1:])
    folder = repository / "m" / "1"
    folder.mkdir(parents=True)
    onnx.save(helper.make_model(graph), folder / "model.onnx")
    if config:
        (repository / "m" / "config.pbtxt").write_text(config)


def tensor(kind: str, name: str, dims: str = "4", datatype: str = "TYPE_FP32", *, optional: bool = False) -> str:
    more = " optional: true" if optional else ""
    return f'{kind} {{ name: "{name}" data_type: {datatype} dims: [ {dims} ]{more} }}\n'


@pytest.mark.parametrize(
    ("config", "batch", "expected"),
    [
        ("", "n", []),
        (ONNX, "n", []),
        (ONNX + "max_batch_size: 8\n" + tensor("input", "x") + tensor("output", "y"), "n", []),
        (ONNX + "max_batch_size: 0\n" + tensor("input", "x", "2, 4") + tensor("output", "y", "-1, 4"), 2, []),
        (
            ONNX + "max_batch_size: 8\n" + tensor("input", "x") + tensor("output", "y"),
            2,
            [(2, "max_batch_size is 8, but the graph has no batch dimension: x: FP32[2, 4], y: FP32[2, 4]")],
        ),
        (
            ONNX + "max_batch_size: 8\n" + tensor("input", "q") + tensor("output", "y", "5", "TYPE_FP16"),
            "n",
            [
                (3, 'the graph has no input "q"'),
                (4, 'output "y" is TYPE_FP16 here, and TYPE_FP32 in the graph'),
                (4, 'output "y" is [-1, 5] here with the batch, and [-1, 4] in the graph'),
            ],
        ),
    ],
)
def test_a_configuration_is_held_against_its_graph(
    config: str, batch: int | str, expected: list[tuple[int, str]], tmp_path: Path
) -> None:
    write(tmp_path, config, batch=batch)
    found = check_repository(tmp_path, cores=8).findings
    assert [(finding.line, finding.message) for finding in found] == expected
    assert {finding.code for finding in found} <= {"TF686"}


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("weights.bin", None),
        ("lost.bin", 'it keeps weights in "lost.bin", and {folder}/lost.bin isn\'t there'),
        ("../weights.bin", 'it keeps weights in "../weights.bin", outside of its folder, where'),
        ("/weights.bin", 'it keeps weights in "/weights.bin", outside of its folder, where'),
    ],
)
@pytest.mark.parametrize("inner", ["", "model.onnx"])
def test_external_data_is_looked_for(location: str, message: str | None, inner: str, tmp_path: Path) -> None:
    """Also where the model's file is a folder."""
    folder = tmp_path / "m" / "1" / inner
    folder.mkdir(parents=True)
    (folder / "weights.bin").write_bytes(np.ones(4, np.float32).tobytes())
    weights = numpy_helper.from_array(np.ones(4, np.float32), "w")
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", info[:1], info[1:], [weights])
    (folder / "model.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    (tmp_path / "m" / "config.pbtxt").write_text(ONNX)

    found = check_repository(tmp_path, cores=8).errors

    assert len(found) == (message is not None)
    for each in found:
        assert (each.code, each.path) == ("TF685", (folder / "model.onnx").relative_to(tmp_path).as_posix())
        assert each.message.startswith((message or "").format(folder=folder))


def test_an_ensemble_sees_what_the_graph_completes(tmp_path: Path) -> None:
    """A model without a config.pbtxt has its tensors from its file, and batches up to Triton's default, 4."""
    write(tmp_path, "")
    (tmp_path / "e" / "1").mkdir(parents=True)
    maps = 'input_map { key: "x" value: "a" } output_map { key: "y" value: "b" }'
    step = f'step {{ model_name: "m" model_version: -1 {maps} }}'
    text = 'platform: "ensemble"\nmax_batch_size: 8\n' + tensor("input", "a") + tensor("output", "b", "5")
    (tmp_path / "e" / "config.pbtxt").write_text(f"{text}ensemble_scheduling {{ {step} }}\n")
    found = check_repository(tmp_path, cores=8).findings
    assert [(finding.code, finding.line) for finding in found] == [("TF675", 2), ("TF674", 5)]


@pytest.mark.parametrize(
    ("config", "version", "expected"),
    [
        (tensor("input", "x") + tensor("input", "scale", "1", optional=True), 9, []),
        (tensor("input", "x"), 9, []),
        ("", 9, []),
        (
            tensor("input", "x") + tensor("input", "scale", "2", optional=True),
            9,
            [(3, "error", 'input "scale" is [2] here, and [1] in the graph')],
        ),
        (
            tensor("input", "x") + tensor("input", "scale", "1", optional=True),
            3,
            [(3, "error", 'the graph has no input "scale"')],
        ),
        (
            tensor("input", "x", optional=True) + tensor("input", "scale", "1"),
            9,
            [
                (
                    2,
                    "warning",
                    'input "x" is optional here, and the graph has no initializer for it: '
                    "NVIDIA's backend refuses that",
                ),
                (
                    3,
                    "warning",
                    'input "scale" is required here, and the graph has an initializer for it: '
                    "NVIDIA's backend refuses that",
                ),
            ],
        ),
    ],
)
def test_an_input_with_an_initializer_may_be_optional(
    config: str, version: int, expected: list[tuple[int, str, str]], tmp_path: Path
) -> None:
    """Since version 4 of the format; before, all initializers stood among the inputs."""
    write_scaled(tmp_path, config and ONNX + config + tensor("output", "y"), (4,), version=version)
    found = check_repository(tmp_path, cores=8).findings
    assert [(finding.line, finding.severity, finding.message) for finding in found] == expected


def test_an_optional_input_of_a_model_with_a_batch_is_warned_of(tmp_path: Path) -> None:
    config = ONNX + "max_batch_size: 8\n" + tensor("input", "x") + tensor("input", "scale", "1", optional=True)
    write_scaled(tmp_path, config + tensor("output", "y"), ("n", 4), ("n", 1))
    (found,) = check_repository(tmp_path, cores=8).findings
    message = 'input "scale" is optional, and the model has a batch: NVIDIA\'s backend refuses that'
    assert (found.line, found.severity, found.message) == (4, "warning", message)


def write_scaled(
    repository: Path, config: str, dims: tuple[int | str, ...], scale: tuple[int | str, ...] = (1,), *, version: int = 9
) -> None:
    """Write a model whose graph is y = x * scale; of `scale` it has a value."""
    x, factor, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", dims), ("scale", scale), ("y", dims))
    )
    value = numpy_helper.from_array(np.full([1] * len(scale), 2, np.float32), "scale")
    graph = helper.make_graph([helper.make_node("Mul", ["x", "scale"], ["y"])], "g", [x, factor], [y], [value])
    folder = repository / "m" / "1"
    folder.mkdir(parents=True)
    onnx.save(helper.make_model(graph, ir_version=version), folder / "model.onnx")
    if config:
        (repository / "m" / "config.pbtxt").write_text(config)


def test_bf16_is_told_by_tensor(tmp_path: Path) -> None:
    """NVIDIA's backend has no such type either."""
    infos = [helper.make_tensor_value_info(name, TensorProto.BFLOAT16, ["n", 4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", infos[:1], infos[1:])
    folder = tmp_path / "m" / "1"
    folder.mkdir(parents=True)
    onnx.save(helper.make_model(graph), folder / "model.onnx")
    config = tensor("input", "x", datatype="TYPE_BF16") + tensor("output", "y", datatype="TYPE_BF16")
    (tmp_path / "m" / "config.pbtxt").write_text(f"{ONNX}max_batch_size: 8\n{config}")
    found = check_repository(tmp_path, cores=8).findings
    assert [(finding.code, finding.path, finding.message) for finding in found] == [
        ("TF685", "m/1/model.onnx", f"{name}: it is BF16, which Triton's backend for ONNX doesn't serve")
        for name in ('input "x"', 'output "y"')
    ]


RAGGED = (
    'input { name: "x" data_type: TYPE_FP32 dims: [ -1 ] allow_ragged_batch: true }\n'
    'output { name: "y" data_type: TYPE_FP32 dims: [ -1 ] }\n'
    'output { name: "o" data_type: TYPE_FP32 dims: [ 1 ] reshape { shape: [] } }\n'
    "batch_input { kind: BATCH_ACCUMULATED_ELEMENT_COUNT data_type: TYPE_FP32\n"
    '  target_name: "off" source_input: "x" }\n'
    'batch_output { target_name: "y" kind: BATCH_SCATTER_WITH_INPUT_SHAPE source_input: "x" }\n'
)


@pytest.mark.parametrize(
    ("shapes", "old", "new", "expected"),
    [
        ((["t"], ["b"], ["t"], ["b"]), "", "", []),
        ((["t"], [4], ["t"], [4]), "", "", []),
        (
            (["n", "t"], ["b"], ["n", "t"], ["b"]),
            "",
            "",
            [
                (3, 'input "x" is ragged, and FP32[n, t] in the graph'),
                (4, 'output "y" is ragged, and FP32[n, t] in the graph'),
            ],
        ),
        (
            (["t"], ["b"], ["t"], ["b"]),
            "COUNT data_type: TYPE_FP32",
            "COUNT data_type: TYPE_INT32",
            [(6, 'batch input "off" is TYPE_INT32 here, and TYPE_FP32 in the graph')],
        ),
        (
            (["t"], ["b"], ["t"], ["b"]),
            "BATCH_ACCUMULATED_ELEMENT_COUNT",
            "BATCH_ITEM_SHAPE",
            [(6, 'batch input "off" has 2 dimensions, and 1 in the graph')],
        ),
        (
            (["t"], ["b"], ["t"], ["b"]),
            '"off"',
            '"of"',
            [(7, 'the graph has no input "of"')],
        ),
    ],
)
def test_ragged_tensors_have_no_batch_in_the_graph(
    shapes: tuple[list[int | str], ...], old: str, new: str, expected: list[tuple[int, str]], tmp_path: Path
) -> None:
    """As the runner of the embedded server has it, and NVIDIA's backend."""
    infos = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in zip(("x", "off", "y", "o"), shapes, strict=True)
    ]
    nodes = [helper.make_node("Identity", [given], [result]) for given, result in (("x", "y"), ("off", "o"))]
    folder = tmp_path / "m" / "1"
    folder.mkdir(parents=True)
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", infos[:2], infos[2:])), folder / "model.onnx")
    (tmp_path / "m" / "config.pbtxt").write_text(f"{ONNX}max_batch_size: 8\n{RAGGED.replace(old, new)}")
    found = check_repository(tmp_path, cores=8).findings
    assert [(finding.line, finding.message) for finding in found] == expected
    assert {finding.code for finding in found} <= {"TF686"}


def test_what_triton_itself_gives_a_graph_is_not_missing(tmp_path: Path) -> None:
    """Controls and states of sequences are no inputs of requests."""
    names = ("x", "start", "before", "y", "after")
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1]) for name in names]
    nodes = [helper.make_node("Sum", ["x", "start", "before"], ["y"]), helper.make_node("Identity", ["y"], ["after"])]
    folder = tmp_path / "m" / "1"
    folder.mkdir(parents=True)
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", infos[:3], infos[3:])), folder / "model.onnx")
    control = 'control_input { name: "start" control { kind: CONTROL_SEQUENCE_START fp32_false_true: [ 0, 1 ] } }'
    state = 'state { input_name: "before" output_name: "after" data_type: TYPE_FP32 dims: [ 1 ] }'
    text = ONNX + "max_batch_size: 8\n" + tensor("input", "x", "1") + tensor("output", "y", "1")
    (tmp_path / "m" / "config.pbtxt").write_text(f"{text}sequence_batching {{ {control} {state} }}\n")
    assert check_repository(tmp_path, cores=8).findings == ()
