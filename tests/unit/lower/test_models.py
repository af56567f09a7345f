"""Lowering of single models: the configuration that Triton is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from jaxtyping import Float32, Int64
from onnx import TensorProto, helper

from tritonforge import Batching, Instances, String, model, pipeline
from tritonforge import onnx as onnx_model
from tritonforge.ir import Code, DynamicBatching, InstanceGroup, Model, Shim, TensorConfig
from tritonforge.lower import gather, lower

CODE = Code(Shim("test_models", "", ("source",)), ())


class Scores(NamedTuple):
    label: Int64[np.ndarray, "batch"]
    title: String[np.ndarray, "batch 1"]


@model
def plain(x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
    return x


@model(
    name="other-name",
    batching=Batching(max_batch_size=8, max_queue_delay_us=200, preferred_batch_sizes=(4, 8)),
    instances=Instances(cpu=2, gpu=3, gpus=(0, 1)),
)
def configured(x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
    return x


@model(batching=Batching(max_batch_size=8, dynamic=False))
def static(x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
    return x


@model
def whole(
    x: Float32[np.ndarray, "rows 4"], bonus: Int64[np.ndarray, "1"] | None = None
) -> Float32[np.ndarray, "rows 4"]:
    return x


@model
def count(x: Int64[np.ndarray, "1"]) -> Iterator[Int64[np.ndarray, "1"]]:
    yield x


@model
def classify(price: Float32[np.ndarray, "batch"], text: String[np.ndarray, "batch words"]) -> Scores: ...  # type: ignore[empty-body]


@model
def calling(a: Float32[np.ndarray, "batch n"], b: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch _"]:
    return plain(a[:, :4]) if len(a) else calling(b, next(halving(a)))


@model
def halving(x: Float32[np.ndarray, "batch n"]) -> Iterator[Float32[np.ndarray, "batch m"]]:
    yield broken(x)


@model
def broken(x: Float32[np.ndarray, "batch ..."]) -> Float32[np.ndarray, "batch n"]:
    return mispadded(x)


@model(pad={"other": 0})
def mispadded(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    return x


@model(batching=Batching(max_batch_size=8))
def eight(
    x: Float32[np.ndarray, "batch n"], y: Float32[np.ndarray, "batch n"] | None
) -> Float32[np.ndarray, "batch n"]:
    return x


@pipeline
def within(
    x: Float32[np.ndarray, "batch n"], y: Float32[np.ndarray, "batch n"] | None
) -> Float32[np.ndarray, "batch n"]:
    return eight(x, y)


@pipeline
def without(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    return within(x)


@pipeline(lowering="fused")
def fused(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    return without(x)


@pipeline(lowering="bls")
def bls(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    return without(x)


@model
def by_way_of_pipelines(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    return without(x)


def lowered(*definitions: Any, code_of: Callable[[Any], Code] = lambda definition: CODE) -> dict[str, Model]:
    gathered = gather(definitions)
    assert gathered.diagnostics == ()
    repository, found = lower(gathered, code_of)
    assert found == []
    return dict(repository.by_name())


def test_a_function_is_a_python_model_with_one_instance_and_dynamic_batching() -> None:
    config = lowered(plain)["plain"].config
    assert (config.name, config.backend, config.platform) == ("plain", "python", "")
    assert config.max_batch_size == 64
    assert config.dynamic_batching == DynamicBatching()
    assert config.instance_groups == (InstanceGroup("KIND_CPU", 1),)
    assert config.inputs == (TensorConfig("x", "TYPE_FP32", (4,)),)
    assert config.outputs == (TensorConfig("output", "TYPE_FP32", (4,)),)
    assert not config.decoupled


def test_settings_are_passed_on() -> None:
    config = lowered(configured)["other-name"].config
    assert config.max_batch_size == 8
    assert config.dynamic_batching == DynamicBatching((4, 8), 200)
    assert config.instance_groups == (InstanceGroup("KIND_CPU", 2), InstanceGroup("KIND_GPU", 3, (0, 1)))


def test_the_batcher_can_be_left_out() -> None:
    config = lowered(static)["static"].config
    assert (config.max_batch_size, config.dynamic_batching) == (8, None)


def test_no_batch_means_a_batch_size_of_0_and_no_batcher() -> None:
    config = lowered(whole)["whole"].config
    assert (config.max_batch_size, config.dynamic_batching) == (0, None)
    assert config.inputs == (
        TensorConfig("x", "TYPE_FP32", (-1, 4)),
        TensorConfig("bonus", "TYPE_INT64", (1,), None, True),
    )


def test_one_value_a_row_is_reshaped_and_names_are_variable() -> None:
    """Requests whose variable dimensions differ are handed over together, for the runtime to group."""
    config = lowered(classify)["classify"].config
    assert config.inputs == (
        TensorConfig("price", "TYPE_FP32", (1,), ()),
        TensorConfig("text", "TYPE_STRING", (-1,), allow_ragged_batch=True),
    )
    assert config.outputs == (
        TensorConfig("label", "TYPE_INT64", (1,), ()),
        TensorConfig("title", "TYPE_STRING", (1,)),
    )


def test_a_generator_is_decoupled() -> None:
    assert lowered(count)["count"].config.decoupled


def test_the_shim_knows_how_outputs_of_variable_sizes_are_spelled() -> None:
    code = lowered(halving)["halving"].code
    assert code
    assert code.shim.spelled == (("output", "FP32[batch, m]"),)


def test_the_shim_knows_the_variable_and_the_text_tensors() -> None:
    models = lowered(configured, classify)
    shims = {name: one.code.shim for name, one in models.items() if one.code}
    assert shims["other-name"] == Shim("test_models", "configured", ("source",))
    found = shims["classify"]
    assert found == Shim("test_models", "classify", ("source",), text=("text",), text_outputs=("title",))


def test_the_shim_knows_what_its_code_calls_and_which_dimensions_agree() -> None:
    """A model that can't be served is told where it is defined, and is no part."""
    shim = lowered(calling)["calling"].code.shim

    assert [(dim.name, dim.inputs, dim.outputs) for dim in shim.dims] == [("n", (("a", 1), ("b", 1)), ())]
    parts = {part.name: part for part in shim.parts}
    assert parts.keys() == {"plain", "calling", "halving"}
    assert all(part.nested for part in shim.parts)
    assert parts["calling"].dims == shim.dims
    assert not parts["plain"].dims
    assert not lowered(plain)["plain"].code.shim.parts


@pytest.mark.parametrize(
    ("definition", "nested", "most_rows"), [(fused, False, 0), (bls, False, 8), (by_way_of_pipelines, True, 0)]
)
def test_the_shim_knows_the_pipelines_inside_whose_inputs_may_be_left_out(
    definition: Any, nested: bool, most_rows: int
) -> None:
    """And, where Triton serves the models, how many rows they take."""
    parts = {part.name: part for part in lowered(definition)[definition.name].code.shim.parts}

    assert parts.keys() == {"within", "eight"}
    assert [spec.optional for spec in parts["within"].signature.inputs] == [False, True]
    assert (parts["within"].nested, parts["within"].remote, parts["within"].most_rows) == (nested, False, 0)
    assert parts["eight"].most_rows == most_rows
    assert [dim.name for dim in parts["eight"].dims] == ["n"]


def test_models_are_sorted_and_each_is_there_once() -> None:
    gathered = gather([plain, classify, plain])
    repository, _ = lower(gathered, lambda definition: CODE)
    assert [one.config.name for one in repository.models] == ["classify", "plain"]


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("N", 4)) for name in "xy"]
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", tensors[:1], tensors[1:])), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_onnx_keeps_tritons_native_backend_and_its_own_instances(graph: Path) -> None:
    one = lowered(onnx_model(graph, name="classifier"))["classifier"]
    assert (one.config.backend, one.config.platform, one.config.max_batch_size) == ("onnxruntime", "", 64)
    assert one.config.instance_groups == ()
    assert [(file.path, file.source) for file in one.files] == [("model.onnx", graph)]
    assert one.code is None


def test_what_cannot_be_lowered_is_told_and_the_rest_is_there(graph: Path) -> None:
    broken = onnx_model(graph, name="broken", inputs={"x": Float32[np.ndarray, "4"]}, batching=Batching())
    gathered = gather([plain, broken, onnx_model("missing.onnx", name="missing")])
    repository, found = lower(gathered, lambda definition: CODE)
    assert [one.config.name for one in repository.models] == ["plain"]
    assert {one.code for one in (*gathered.diagnostics, *found)} == {"TF301", "TF303"}


def test_a_batcher_without_a_batch_is_refused(graph: Path) -> None:
    fixed = onnx_model(
        graph,
        name="fixed",
        inputs={"x": Float32[np.ndarray, "rows 4"]},
        outputs={"y": Float32[np.ndarray, "rows 4"]},
        batching=Batching(),
    )
    _, found = lower(gather([fixed]), lambda definition: CODE)
    assert [(one.code, one.message) for one in found] == [
        ("TF111", "batching is set, but its tensors have no batch dimension")
    ]


def test_a_definition_that_no_variable_holds_is_told() -> None:
    @model
    def inner(x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
        return x

    found = gather([inner, onnx_model("classifier.onnx")]).diagnostics
    assert [one.code for one in found] == ["TF108", "TF108", "TF301"]
