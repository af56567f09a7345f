"""ONNX files beside their configuration."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

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


def tensor(kind: str, name: str, dims: str = "4", datatype: str = "TYPE_FP32") -> str:
    return f'{kind} {{ name: "{name}" data_type: {datatype} dims: [ {dims} ] }}\n'


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
                (3, 'the graph needs the input "x", FP32[n, 4]'),
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
