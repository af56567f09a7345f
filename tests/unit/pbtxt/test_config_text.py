"""config.pbtxt: what is written is read again, by ourselves and by protobuf."""

from __future__ import annotations

from dataclasses import replace
from textwrap import dedent

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2

from tritonforge import pbtxt
from tritonforge.dtypes import DTYPES
from tritonforge.ir import DynamicBatching, Ensemble, EnsembleStep, InstanceGroup, ModelConfig, TensorConfig

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
INT32 = st.integers(0, 2**31 - 1)
DIMS = st.lists(st.one_of(st.just(-1), st.integers(1, 2**63 - 1)), max_size=4).map(tuple)
MAPS = st.dictionaries(NAMES, NAMES, max_size=4).map(lambda pairs: tuple(sorted(pairs.items())))


def tensors(*, optional: st.SearchStrategy[bool]) -> st.SearchStrategy[tuple[TensorConfig, ...]]:
    data_types = st.sampled_from([dtype.config for dtype in DTYPES.values()])
    tensor = st.builds(TensorConfig, NAMES, data_types, DIMS, st.none() | DIMS, optional)
    return st.lists(tensor, max_size=3).map(tuple)


STEPS = st.lists(st.builds(EnsembleStep, NAMES, MAPS, MAPS, st.integers(-1, 2**63 - 1)), max_size=3).map(tuple)
BATCHING = st.none() | st.builds(DynamicBatching, st.lists(INT32, max_size=3).map(tuple), INT32)
# A model has one scheduler.
SCHEDULING = st.tuples(BATCHING, st.none()) | st.tuples(st.none(), st.builds(Ensemble, STEPS))

BARE = st.builds(
    ModelConfig,
    name=NAMES,
    max_batch_size=INT32,
    inputs=tensors(optional=st.booleans()),
    outputs=tensors(optional=st.just(False)),
    backend=NAMES,
    platform=NAMES,
    instance_groups=st.lists(
        st.builds(
            InstanceGroup,
            st.sampled_from(["KIND_CPU", "KIND_GPU", "KIND_AUTO", "KIND_MODEL"]),
            INT32,
            st.lists(INT32, max_size=3).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    decoupled=st.none() | st.booleans(),
    parameters=MAPS,
)
CONFIGS = st.builds(
    lambda bare, scheduling: replace(bare, dynamic_batching=scheduling[0], ensemble=scheduling[1]), BARE, SCHEDULING
)


@given(CONFIGS)
def test_what_is_written_is_what_is_read(config: ModelConfig) -> None:
    assert pbtxt.parse(pbtxt.emit(config)) == config


@given(CONFIGS)
def test_protobuf_reads_the_same_message(config: ModelConfig) -> None:
    assert text_format.Parse(pbtxt.emit(config), model_config_pb2.ModelConfig()) == pbtxt.to_message(config)


@given(CONFIGS)
def test_protobufs_own_text_is_read_too(config: ModelConfig) -> None:
    assert pbtxt.parse(text_format.MessageToString(pbtxt.to_message(config))) == config


@given(CONFIGS)
def test_the_same_config_gives_the_same_text(config: ModelConfig) -> None:
    assert pbtxt.emit(config) == pbtxt.emit(pbtxt.parse(pbtxt.emit(config)))


def test_the_text_is_laid_out_for_people() -> None:
    config = ModelConfig(
        name="fraud",
        backend="python",
        max_batch_size=64,
        inputs=(TensorConfig("features", "TYPE_FP32", (20, -1)), TensorConfig("b", "TYPE_BOOL", (1,), (), True)),
        outputs=(TensorConfig("label", "TYPE_STRING", (1,), ()),),
        dynamic_batching=DynamicBatching((8, 16), 200),
        instance_groups=(InstanceGroup("KIND_CPU", 2), InstanceGroup("KIND_GPU", 1, (0, 1))),
        decoupled=True,
        parameters=(("quote", 'a"b'), ("unit", "µs")),
    )
    assert pbtxt.emit(config) == dedent(
        """\
        name: "fraud"
        backend: "python"
        max_batch_size: 64
        input { name: "features" data_type: TYPE_FP32 dims: [ 20, -1 ] }
        input { name: "b" data_type: TYPE_BOOL dims: [ 1 ] reshape { shape: [] } optional: true }
        output { name: "label" data_type: TYPE_STRING dims: [ 1 ] reshape { shape: [] } }
        dynamic_batching { preferred_batch_size: [ 8, 16 ] max_queue_delay_microseconds: 200 }
        instance_group { kind: KIND_CPU count: 2 }
        instance_group { kind: KIND_GPU count: 1 gpus: [ 0, 1 ] }
        parameters { key: "quote" value { string_value: "a\\"b" } }
        parameters { key: "unit" value { string_value: "µs" } }
        model_transaction_policy { decoupled: true }
        """
    )


def test_a_batch_size_of_0_is_said_and_a_long_message_is_broken_into_lines() -> None:
    name = "a_long_name_of_a_model_" * 3
    step = EnsembleStep(name, (("features", "features"),), (("output", "output"),))
    config = ModelConfig(
        name="e", platform="ensemble", max_batch_size=0, inputs=(), outputs=(), ensemble=Ensemble((step,))
    )
    assert pbtxt.emit(config) == dedent(
        f"""\
        name: "e"
        platform: "ensemble"
        max_batch_size: 0
        ensemble_scheduling {{
          step {{
            model_name: "{name}"
            model_version: -1
            input_map {{ key: "features" value: "features" }}
            output_map {{ key: "output" value: "output" }}
          }}
        }}
        """
    )


def test_an_empty_group_is_written_where_it_says_something() -> None:
    config = ModelConfig(name="m", max_batch_size=8, inputs=(), outputs=(), dynamic_batching=DynamicBatching())
    assert "dynamic_batching {}\n" in pbtxt.emit(config)
    assert pbtxt.parse(pbtxt.emit(config)).dynamic_batching == DynamicBatching()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: ", "1:7 : '': Expected string but found: ''"),
        (
            'name: "m"\nmax_batchsize: 8',
            '2:1 : Message type "inference.ModelConfig" has no field named "max_batchsize"',
        ),
        ('max_batch_size: "many"', "1:17 : "),
        ("input { data_type: TYPE_FP128 }", "1:20 : "),
    ],
)
def test_text_that_is_no_config_is_told_with_line_and_column(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"^[0-9]") as raised:
        pbtxt.parse(text)
    assert str(raised.value).startswith(message)


def test_a_float_is_written_with_as_few_digits_as_give_it_back() -> None:
    text = "sequence_batching { direct { minimum_slot_utilization: 0.1 } }\n"
    assert text in pbtxt.emit(pbtxt.parse(text))


def test_a_field_that_only_the_schema_knows_is_set_by_its_name() -> None:
    extra = '{"metric_tags": {"team": "fraud"}, "model_transaction_policy": {"decoupled": true}}'
    config = ModelConfig(name="m", max_batch_size=0, extra=extra)
    assert pbtxt.parse(pbtxt.emit(config)) == ModelConfig(
        name="m", max_batch_size=0, metric_tags=(("team", "fraud"),), decoupled=True
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ModelConfig(name="m", max_batch_size=0, extra='{"metric_tag": {}}'), 'no field named "metric_tag"'),
        (ModelConfig(name="m", max_batch_size=2**31), "out of range"),
        (
            ModelConfig(
                name="m", max_batch_size=0, outputs=(TensorConfig("y", "TYPE_FP32", (1,), format="FORMAT_NHWC"),)
            ),
            "ModelOutput has no field format",
        ),
    ],
)
def test_what_the_schema_has_no_place_for_is_refused(config: ModelConfig, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pbtxt.emit(config)
