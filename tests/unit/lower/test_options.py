"""Options of definitions: what config.pbtxt says then, and the files beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from jaxtyping import Float32, Int64
from onnx import TensorProto, helper

from tritonforge import (
    Batching,
    InstanceGroup,
    Instances,
    MetricControl,
    Optimization,
    RateLimiter,
    Resource,
    SequenceBatching,
    String,
    Tensor,
    VersionPolicy,
    Warmup,
    WarmupInput,
    model,
    model_files,
    pbtxt,
    pipeline,
)
from tritonforge.build import build
from tritonforge.define import Definition
from tritonforge.errors import DiagnosticError
from tritonforge.ir import Code, Model, Repository, Shim
from tritonforge.lower import gather, lower, lower_files
from tritonforge.validate import check_target

ROWS = np.arange(6, dtype=np.float32).reshape(2, 3)


def lowered(*definitions: Definition[..., Any]) -> dict[str, Model]:
    gathered = gather(definitions)
    repository, found = lower(gathered, lambda _: Code(Shim("m", "a", ()), ()))
    if found:
        raise DiagnosticError(found)
    return dict(repository.by_name())


def test_warm_up_arrays_have_the_shape_that_clients_see() -> None:
    @model(tensors={"x": Tensor(dims=(3, 1), reshape=(3,))}, warmup={"x": ROWS})
    def narrow(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
        return x

    ((_, given),) = lowered(narrow)["narrow"].config.warmups[0].inputs
    assert given.dims == (3, 1)


@model(
    batching=Batching(max_batch_size=8),
    version_policy=VersionPolicy(latest=2),
    response_cache=True,
    metric_tags={"team": "fraud"},
    parameters={"threshold": "0.5"},
    instance_groups=[InstanceGroup(kind="cpu", rate_limiter=RateLimiter(resources=(Resource(name="r"),)))],
    tensors={"output": Tensor(labels=("no", "yes")), "x": Tensor(format="nchw")},
    extra={"default_model_filename": "model.py"},
)
def configured(x: Float32[np.ndarray, "batch 1 2 3"]) -> Float32[np.ndarray, "batch 2"]:
    return x[:, 0, 0, :2]


@model(
    warmup=[
        {"x": ROWS, "n": np.array([7, 8]), "w": np.array([["é"], ["b"]], object)},
        Warmup(name="noise", inputs={"x": WarmupInput(data_type="FP32", dims=(3,), random_data=True)}),
    ]
)
def warmed(
    x: Float32[np.ndarray, "batch 3"], n: Int64[np.ndarray, "batch"], w: String[np.ndarray, "batch 1"]
) -> Float32[np.ndarray, "batch 3"]:
    return x


@model(sequence_batching=SequenceBatching())
def sequential(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    return x


@pipeline(max_inflight_requests=4, metric_tags={"team": "fraud"})
def limited(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    return sequential(x)


@model(tensors={"output": Tensor(labels=("no", "yes"))})
def labelled(x: Float32[np.ndarray, "batch 2"]) -> Float32[np.ndarray, "batch 2"]:
    return x


@pipeline(lowering="fused")
def around(x: Float32[np.ndarray, "batch 2"]) -> Float32[np.ndarray, "batch 2"]:
    return labelled(x)


@pipeline(lowering="fused", tensors={"output": Tensor(labels=("fine", "fraud"))})
def renamed(x: Float32[np.ndarray, "batch 2"]) -> Float32[np.ndarray, "batch 2"]:
    return around(x)


@pipeline(lowering="bls")
def outermost(x: Float32[np.ndarray, "batch 2"]) -> tuple[Float32[np.ndarray, "batch 2"], Float32[np.ndarray, "batch"]]:
    return around(x), x[:, 0]


@pipeline(lowering="bls")
def straight(x: Float32[np.ndarray, "batch 2"]) -> Float32[np.ndarray, "batch 2"]:
    return around(labelled(x))


@pytest.mark.parametrize(
    ("definition", "labels"),
    [(around, b"no\nyes\n"), (straight, b"no\nyes\n"), (renamed, b"fine\nfraud\n"), (outermost, None)],
)
def test_a_pipeline_has_the_labels_of_the_step_that_makes_its_output(
    definition: Definition[..., Any], labels: bytes | None
) -> None:
    lone = lowered(definition)[definition.name]
    names = [output.label_filename for output in lone.config.outputs]
    if labels is None:  # what is in a body that can't be traced is not known
        assert names == ["", ""]
        assert not lone.beside
    else:
        assert names == ["output_labels.txt"]
        assert [(file.path, file.content) for file in lone.beside] == [("output_labels.txt", labels)]


def test_options_are_in_the_configuration() -> None:
    one = lowered(configured)["configured"]
    assert pbtxt.emit(one.config) == (
        'name: "configured"\n'
        'backend: "python"\n'
        "version_policy { latest { num_versions: 2 } }\n"
        "max_batch_size: 8\n"
        'input { name: "x" data_type: TYPE_FP32 format: FORMAT_NCHW dims: [ 1, 2, 3 ] }\n'
        'output { name: "output" data_type: TYPE_FP32 dims: [ 2 ] label_filename: "output_labels.txt" }\n'
        "dynamic_batching {}\n"
        'instance_group { kind: KIND_CPU count: 1 rate_limiter { resources { name: "r" count: 1 } } }\n'
        'default_model_filename: "model.py"\n'
        'metric_tags { key: "team" value: "fraud" }\n'
        'parameters { key: "threshold" value { string_value: "0.5" } }\n'
        "response_cache { enable: true }\n"
    )
    assert {file.path: file.content for file in one.beside} == {"output_labels.txt": b"no\nyes\n"}


def test_warm_up_arrays_become_requests_and_files() -> None:
    one = lowered(warmed)["warmed"]
    assert pbtxt.emit(one.config).partition("model_warmup")[2] == (
        " {\n"
        '  name: "sample_0"\n'
        "  batch_size: 2\n"
        '  inputs { key: "n" value { data_type: TYPE_INT64 dims: [ 1 ] input_data_file: "sample_0.n" } }\n'
        '  inputs { key: "w" value { data_type: TYPE_STRING dims: [ 1 ] input_data_file: "sample_0.w" } }\n'
        '  inputs { key: "x" value { data_type: TYPE_FP32 dims: [ 3 ] input_data_file: "sample_0.x" } }\n'
        "}\n"
        "model_warmup {\n"
        '  name: "noise"\n'
        "  batch_size: 1\n"
        '  inputs { key: "x" value { data_type: TYPE_FP32 dims: [ 3 ] random_data: true } }\n'
        "}\n"
    )
    assert {file.path: file.content for file in one.beside} == {
        "warmup/sample_0.x": ROWS[:1].tobytes(),
        "warmup/sample_0.n": np.array([7]).tobytes(),
        "warmup/sample_0.w": b"\x02\x00\x00\x00\xc3\xa9",
    }


@model(
    name="added",
    instances=Instances(cpu=2),
    response_cache=True,
    parameters={"k": "v", "same": "old"},
    metric_tags={"team": "fraud"},
    warmup={"x": ROWS},
    optimization=Optimization(eager_batching=True),
    extra={
        "parameters": {"z": {"string_value": "1"}, "same": {"string_value": "new"}},
        "metric_tags": {"stage": "test"},
        "instance_group": [{"kind": "KIND_GPU", "count": 1}],
        "model_warmup": [{"name": "more", "batch_size": 1}],
        "optimization": {"gather_kernel_buffer_threshold": 3},
        "response_cache": {"enable": False},
    },
)
def added(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    return x


def test_extra_is_added_to_the_settings() -> None:
    """Lists are appended, groups merged, maps merged key by key, and a single value replaced, by false too."""
    config = pbtxt.to_dict(lowered(added)["added"].config)
    assert [group["kind"] for group in config["instance_group"]] == ["KIND_CPU", "KIND_GPU"]
    assert config["parameters"] == {
        "k": {"string_value": "v"},
        "same": {"string_value": "new"},
        "z": {"string_value": "1"},
    }
    assert config["metric_tags"] == {"team": "fraud", "stage": "test"}
    assert [sample["name"] for sample in config["model_warmup"]] == ["sample_0", "more"]
    assert config["optimization"] == {"eager_batching": True, "gather_kernel_buffer_threshold": 3}
    assert config["response_cache"] == {}


def test_instance_groups_of_extra_replace_the_default_ones() -> None:
    @model(name="m", extra={"instance_group": [{"kind": "KIND_CPU", "count": 3}]})
    def held(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
        return x

    assert pbtxt.to_dict(lowered(held)["m"].config)["instance_group"] == [{"kind": "KIND_CPU", "count": 3}]


def test_extra_of_model_files_may_say_what_its_arguments_do_not() -> None:
    tensor = {"name": "x", "data_type": "TYPE_FP32", "dims": ["3"]}
    config = lower_files(model_files("", name="m", backend="b", extra={"input": [tensor]})).config
    assert pbtxt.to_dict(config)["input"] == [tensor]
    with pytest.raises(DiagnosticError, match='extra has "backend", which backend= says too'):
        lower_files(model_files("", name="m", backend="b", extra={"backend": "c"}))


def test_warm_up_rows_of_a_model_without_a_batch_are_refused() -> None:
    sample = Warmup(name="w", batch_size=2, inputs={"x": WarmupInput(data_type="FP32", dims=(3,), zero_data=True)})

    @model(name="m", warmup=sample)
    def held(x: Float32[np.ndarray, "3"]) -> Float32[np.ndarray, "3"]:
        return x

    with pytest.raises(DiagnosticError, match='"w" has 2 rows, and the model has no batch dimension'):
        lowered(held)


def test_a_sequence_batcher_takes_the_place_of_the_dynamic_one() -> None:
    config = lowered(sequential)["sequential"].config
    assert config.dynamic_batching is None
    assert config.sequence_batching is not None


def test_a_pipelines_options_are_the_ensembles() -> None:
    config = lowered(limited)["limited"].config
    assert config.ensemble is not None
    assert config.ensemble.max_inflight_requests == 4
    assert config.metric_tags == (("team", "fraud"),)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"tensors": {"y": Tensor()}},
            'tensors names "y", which it hasn\'t\n  hint: its tensors are output, x',
        ),
        ({"tensors": {"x": Tensor(labels=("a",))}}, 'input "x" has labels'),
        ({"tensors": {"output": Tensor(format="nhwc")}}, 'output "output" is optional, ragged, or has a format'),
        ({"warmup": {"z": ROWS}}, 'warmup: there is no input "z"; there are x'),
        ({"warmup": {"x": ROWS.astype(int)}}, r'warmup: m: argument "x" is INT64\[2, 3\]; wanted FP32\[batch, 3\]'),
        ({"warmup": [3]}, "warmup: it is a int; wanted a dict of arrays by input"),
        ({"max_inflight_requests": 2}, "it is no ensemble"),
        (
            {"extra": {"model_metric": {}}},
            'extra has "model_metric", which is no field of ModelConfig\n  hint: did you mean model_metrics',
        ),
        ({"extra": {"response_cache": {"enabled": True}}}, 'no field named "enabled"'),
        (
            {"extra": {"max_batch_size": "many"}},
            r"which the definition itself says\n  hint: take batching=Batching\(max_batch_size=…\)  \[TF115\]",
        ),
        ({"warmup": {"x": ROWS}, "batching": Batching(max_batch_size=1)}, "has 2 rows, and max_batch_size is 1"),
    ],
)
def test_what_a_model_cannot_have_is_told(options: dict[str, Any], message: str) -> None:
    @model(name="m", **options)
    def held(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
        return x

    gathered = gather([held])
    _, found = lower(gathered, lambda _: Code(Shim("m", "a", ()), ()))
    with pytest.raises(DiagnosticError, match=message):
        raise DiagnosticError(found)


def test_an_ensemble_refuses_what_belongs_to_its_models() -> None:
    @pipeline(name="p", warmup={"x": ROWS})
    def chained(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
        return sequential(x)

    with pytest.raises(DiagnosticError, match="an ensemble has no warmup of its own"):
        lowered(chained)


def test_a_field_that_the_target_cannot_parse_is_refused_with_its_first_release() -> None:
    @model(name="m", metrics=[MetricControl(family="f", buckets=(1.0,))])
    def measured(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
        return x

    found = lower(gather([measured]), lambda _: Code(Shim("m", "a", ()), ()))[0]
    repository = Repository(found.models)
    assert [(one.code, one.message) for one in check_target(repository, "24.10")] == [
        ("TF405", "model_metrics is known to Triton since 24.11, and the target is 24.10")
    ]
    assert list(check_target(repository, "24.11")) == []


def test_files_that_settings_name_lie_beside_the_definition_and_travel(tmp_path: Path) -> None:
    """Their names in the configuration are those in the built model's folders."""
    source = """
import numpy as np
from jaxtyping import Float32
from tritonforge import InitialState, SequenceBatching, State, Warmup, WarmupInput, model, onnx

state = State(
    input_name="before", output_name="after", data_type="FP32", dims=(1,),
    initial_states=[InitialState(name="first", data_type="FP32", dims=(1,), data_file="data/first.bin")],
)
total = onnx("total.onnx", sequence_batching=SequenceBatching(states=[state]))
FILE = WarmupInput(data_type="FP32", dims=(2,), data_file="w.bin")

@model(warmup=[Warmup(name="one", inputs={"x": FILE}), Warmup(name="again", inputs={"x": FILE})])
def same(x: Float32[np.ndarray, "batch 2"]) -> Float32[np.ndarray, "batch 2"]:
    return x
"""
    nodes = [helper.make_node("Add", ["x", "before"], ["y"]), helper.make_node("Identity", ["y"], ["after"])]
    inputs, outputs = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("batch", 1)) for name in names]
        for names in (("x", "before"), ("y", "after"))
    )
    graph = helper.make_graph(nodes, "total", inputs, outputs)
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "total.onnx")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "first.bin").write_bytes(np.float32(100).tobytes())
    (tmp_path / "models.py").write_text(source)
    with pytest.raises(DiagnosticError, match=r'TF301|"w.bin" is missing beside models.py'):
        build([tmp_path / "models.py"], tmp_path / "repository")
    (tmp_path / "w.bin").write_bytes(ROWS[0, :2].tobytes())
    build([tmp_path / "models.py"], tmp_path / "repository")
    built = tmp_path / "repository"
    assert (built / "same" / "warmup" / "w.bin").read_bytes() == ROWS[0, :2].tobytes()
    assert (built / "total" / "initial_state" / "first.bin").read_bytes() == np.float32(100).tobytes()
    assert 'data_file: "first.bin"' in (built / "total" / "config.pbtxt").read_text()


def test_two_files_for_one_place_are_refused(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        (folder / "w.bin").write_bytes(b"\0\0\0\0")

    def lower_with(*files: Path) -> None:
        given = [WarmupInput(data_type="FP32", dims=(1,), data_file=str(file)) for file in files]

        @model(name="m", warmup=[Warmup(name="one", inputs={"x": one}) for one in given])
        def same(x: Float32[np.ndarray, "batch 1"]) -> Float32[np.ndarray, "batch 1"]:
            return x

        lowered(same)

    with pytest.raises(
        DiagnosticError, match=r"two files would be warmup/w\.bin of the model, one of them .*/b/w\.bin"
    ):
        lower_with(*(folder / "w.bin" for folder in folders))
    with pytest.raises(DiagnosticError, match=r'data_file=".*/a" is no file'):
        lower_with(folders[0])
