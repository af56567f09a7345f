"""The backend that stands in for the native `onnxruntime`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_config
import onnx_session
import pytest
import stub_utils
from onnx import TensorProto, helper
from stub_utils import tensor
from tritonforge_runtime import LoadError
from tritonforge_runtime.spec import parse_spec


@pytest.fixture
def version(tmp_path: Path) -> Path:
    folder = tmp_path / "1"
    folder.mkdir()
    return folder


def write(folder: Path, *dims: int | str, kind: int = TensorProto.FLOAT) -> Path:
    """Write a graph whose output is its input, of such dimensions."""
    names = [helper.make_tensor_value_info(name, kind, dims) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "graph", names[:1], names[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def fields(**more: Any) -> dict[str, Any]:
    """A configuration as Triton gives it where config.pbtxt says little."""
    return {
        "input": [],
        "output": [],
        "max_batch_size": 0,
        "parameters": {},
        "optimization": {},
        "default_model_filename": "",
        **more,
    }


def completed(path: Path, **more: Any) -> dict[str, Any]:
    config = fields(**more)
    onnx_config.complete(config, onnx_session.open_for_completion(str(path.parent), config))
    return config


def test_a_graph_whose_first_dimension_varies_is_batched(version: Path) -> None:
    config = completed(write(version, "batch", 3, "length"))

    assert config["max_batch_size"] == 4
    assert config["dynamic_batching"] == {}
    assert config["input"] == [{"name": "x", "data_type": "TYPE_FP32", "dims": [3, -1]}]


def test_a_batch_of_scalars_is_reshaped(version: Path) -> None:
    config = completed(write(version, "batch", kind=TensorProto.STRING))

    assert config["output"] == [{"name": "y", "data_type": "TYPE_STRING", "dims": [1], "reshape": {"shape": []}}]


def test_a_type_that_the_native_backend_has_not_is_told_as_such(version: Path) -> None:
    session = onnx_session.open_for_completion(
        str(write(version, "batch", 3, kind=TensorProto.BFLOAT16).parent), fields()
    )
    spec = parse_spec(stub_utils.arguments([tensor("x", "BF16", [3])], [tensor("y", "BF16", [3])])["model_config"])

    with pytest.raises(LoadError, match=r'"x" is tensor\(bfloat16\), which the ONNX Runtime backend can\'t serve'):
        onnx_config.check(spec, session)


@pytest.mark.parametrize(("dims", "written"), [((2, 3), [2, 3]), ((), [1])])
def test_a_graph_of_fixed_dimensions_is_not_batched(version: Path, dims: tuple[int, ...], written: list[int]) -> None:
    config = completed(write(version, *dims))

    assert config["max_batch_size"] == 0
    assert "dynamic_batching" not in config
    assert config["input"] == [{"name": "x", "data_type": "TYPE_FP32", "dims": written}]


def test_what_is_written_is_kept(version: Path) -> None:
    given = [tensor("x", "FP32", [3])]

    config = completed(write(version, "batch", 3), input=given, max_batch_size=32, sequence_batching={"direct": {}})

    assert config["max_batch_size"] == 32
    assert config["input"] is given
    assert "dynamic_batching" not in config
    assert config["output"][0]["dims"] == [3]


def test_a_batch_that_the_graph_does_not_have_is_refused(version: Path) -> None:
    with pytest.raises(LoadError, match=r"max_batch_size is 8, but the graph has no batch: .* x: FP32\[2, 3\]"):
        completed(write(version, 2, 3), max_batch_size=8)


def test_a_type_that_triton_lacks_is_refused(version: Path) -> None:
    with pytest.raises(LoadError, match=r'the graph\'s "x" is tensor\(bfloat16\), which the ONNX Runtime backend'):
        completed(write(version, "batch", 3, kind=TensorProto.BFLOAT16))


def load(version: Path, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]], **more: Any) -> Any:
    args = stub_utils.arguments(
        inputs, outputs, folder=version.parent, **{"default_model_filename": "model.onnx", **more}
    )
    return onnx_session.load(parse_spec(args["model_config"]), args)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([tensor("z", "FP32", [3])], 'the graph has no input "z"; it has x'),
        ([tensor("x", "FP64", [3])], r'input "x" is FP64\[batch, 3\] in the configuration, but x: FP32\[-1, 3\]'),
        ([tensor("x", "FP32", [4])], r'input "x" is FP32\[batch, 4\] in the configuration'),
        ([tensor("x", "FP32", [3, 1])], r'input "x" is FP32\[batch, 3, 1\] in the configuration'),
        ([], "the graph's inputs x are missing in the configuration"),
    ],
)
def test_a_configuration_of_another_graph_is_refused(version: Path, inputs: list[dict[str, Any]], said: str) -> None:
    write(version, "batch", 3)

    with pytest.raises(LoadError, match=said):
        load(version, inputs, [tensor("y", "FP32", [3])])


@pytest.mark.parametrize(
    "name", ["intra_op_thread_count", "inter_op_thread_count", "execution_mode", "enable_mem_arena"]
)
def test_a_parameter_that_makes_no_sense_is_refused(version: Path, name: str) -> None:
    write(version, "batch", 3)

    with pytest.raises(LoadError, match=f"{name} is 'many'; wanted "):
        load(
            version,
            [tensor("x", "FP32", [3])],
            [tensor("y", "FP32", [3])],
            parameters={name: {"string_value": "many"}},
        )


def test_a_file_that_is_missing_or_no_graph_is_named(version: Path) -> None:
    tensors = [tensor("x", "FP32", [3])], [tensor("y", "FP32", [3])]
    with pytest.raises(LoadError, match=r"unable to find .*/1/model\.onnx"):
        load(version, *tensors)

    (version / "model.onnx").write_text("no graph")
    with pytest.raises(LoadError, match=r"ONNX Runtime can't load .*/1/model\.onnx: "):
        load(version, *tensors)


def test_another_file_name_is_found(version: Path) -> None:
    write(version, "batch", 3).rename(version / "weights.onnx")
    array = np.ones((2, 3), np.float32)

    loaded = load(
        version, [tensor("x", "FP32", [3])], [tensor("y", "FP32", [3])], default_model_filename="weights.onnx"
    )

    np.testing.assert_array_equal(loaded.function(x=array)[0], array)


def test_what_the_native_backend_refuses_is_told(version: Path) -> None:
    """A sequence batcher's control that the graph doesn't take."""
    write(version, "batch", 3)
    control = {"name": "START", "control": [{"kind": "CONTROL_SEQUENCE_START", "int32_false_true": [0, 1]}]}

    loaded = load(
        version, [tensor("x", "FP32", [3])], [tensor("y", "FP32", [3])], sequence_batching={"control_input": [control]}
    )

    assert list(loaded.notices) == ["control_input START is no input of the graph; NVIDIA's backend refuses that"]


def test_a_scalar_has_one_element_for_clients(version: Path) -> None:
    write(version)

    loaded = load(
        version, [tensor("x", "FP32", [1], reshape={"shape": []})], [tensor("y", "FP32", [1])], max_batch_size=0
    )

    assert loaded.function(x=np.array(3, np.float32))[0].tolist() == [3]


def test_states_are_checked_against_the_graph(version: Path) -> None:
    write(version, "batch", 2)
    state = {"input_name": "before", "output_name": "after", "data_type": "TYPE_FP32", "dims": [1]}
    args = stub_utils.arguments(
        [tensor("x", "FP32", [2])],
        [tensor("y", "FP32", [2])],
        folder=version.parent,
        default_model_filename="",
        sequence_batching={"state": [state]},
    )

    with pytest.raises(LoadError, match='the graph has no input "before"; it has x'):
        onnx_session.load(parse_spec(args["model_config"]), args)


def test_a_ragged_input_runs_through_all_requests(version: Path) -> None:
    write(version, "total")
    ragged = [tensor("x", "FP32", [-1], allow_ragged_batch=True)]
    output = {"target_name": ["y"], "kind": "BATCH_SCATTER_WITH_INPUT_SHAPE", "source_input": ["x"]}
    more = {"folder": version.parent, "default_model_filename": ""}
    args = stub_utils.arguments(ragged, [tensor("y", "FP32", [-1])], batch_output=[output], **more)
    plain = stub_utils.arguments([tensor("x", "FP32", [-1])], [tensor("y", "FP32", [-1])], **more)

    loaded = onnx_session.load(parse_spec(args["model_config"]), args)

    assert loaded.ragged is not None
    assert loaded.ragged.scattered == {"y": "x"}
    with pytest.raises(LoadError, match='input "x" is'):
        onnx_session.load(parse_spec(plain["model_config"]), plain)
