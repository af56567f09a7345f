"""Settings become the records that Triton gets, and come back from them."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import tritonforge
from tritonforge import (
    Accelerator,
    Accelerators,
    Agent,
    Batching,
    BatchInput,
    BatchOutput,
    Control,
    ControlInput,
    Cuda,
    Direct,
    Ensemble,
    EnsembleStep,
    GraphLowerBound,
    GraphSpec,
    InitialState,
    InstanceGroup,
    MetricControl,
    Oldest,
    Optimization,
    QueuePolicy,
    RateLimiter,
    Resource,
    SecondaryDevice,
    SequenceBatching,
    State,
    VersionPolicy,
    Warmup,
    WarmupInput,
)
from tritonforge.define import settings as package
from tritonforge.define.settings import CommonArguments, OptionArguments, Options, Setting
from tritonforge.ir import Control as ControlConfig
from tritonforge.ir import DynamicBatching, bindings
from tritonforge.ir import QueuePolicy as QueuePolicyConfig

EXAMPLES: list[Setting] = [
    VersionPolicy(latest=2),
    VersionPolicy(all=True),
    VersionPolicy(specific=(1, 3)),
    QueuePolicy(timeout_action="delay", default_timeout_us=5, allow_timeout_override=True, max_queue_size=9),
    SequenceBatching(
        oldest=Oldest(max_candidate_sequences=4, preferred_batch_sizes=(2,), max_queue_delay_us=3),
        max_sequence_idle_us=1_000_000,
        control_inputs=(
            ControlInput(name="START", controls=(Control(kind="start", bool_false_true=(False, True)),)),
            ControlInput(name="ID", controls=(Control(kind="corrid", data_type="BYTES"),)),
        ),
        states=(
            State(
                input_name="in",
                output_name="out",
                data_type="FP32",
                dims=(-1,),
                initial_states=(InitialState(name="zeros", data_type="FP32", dims=(1,), zero_data=True),),
                use_growable_memory=True,
            ),
        ),
        iterative_sequence=True,
    ),
    SequenceBatching(direct=Direct(max_queue_delay_us=1, minimum_slot_utilization=0.5)),
    InstanceGroup(
        kind="gpu",
        count=2,
        gpus=(0, 1),
        name="fast",
        rate_limiter=RateLimiter(resources=(Resource(name="slots", count=2, is_global=True),), priority=2),
        secondary_devices=(SecondaryDevice(device_id=1),),
        profiles=("0",),
        passive=True,
        host_policy="node0",
    ),
    Optimization(
        graph_level=-1,
        priority="max",
        cuda=Cuda(
            graphs=True,
            graph_specs=(
                GraphSpec(batch_size=4, inputs={"x": (3, 4)}, lower_bound=GraphLowerBound(inputs={"x": (1, 1)})),
            ),
        ),
        execution_accelerators=Accelerators(gpu=(Accelerator(name="tensorrt", parameters={"precision_mode": "FP16"}),)),
        input_pinned_memory=False,
        gather_kernel_buffer_threshold=4,
        eager_batching=True,
    ),
    Warmup(name="zeros", batch_size=2, inputs={"x": WarmupInput(data_type="BYTES", dims=(1,), zero_data=True)}),
    Agent(name="checksum", parameters={"MD5:1/model.onnx": "d7"}),
    MetricControl(family="nv_inference_first_response_histogram_ms", buckets=(0.1, 1.0)),
    BatchInput(kind="element_count", target_names=("n",), data_type="FP32", source_inputs=("x",)),
    BatchOutput(target_names=("y",), source_inputs=("x",)),
    Ensemble(steps=(EnsembleStep(model_name="m", input_map={"x": "a"}, output_map={"y": "b"}),)),
]


@pytest.mark.parametrize("setting", EXAMPLES, ids=lambda setting: type(setting).__name__)
def test_a_setting_comes_back_from_its_record(setting: Setting) -> None:
    assert type(setting).lift(setting.lower()) == setting


def test_values_are_spelled_as_triton_does() -> None:
    control = Control(kind="corrid", data_type="BYTES")
    assert control.lower() == ControlConfig("CONTROL_SEQUENCE_CORRID", data_type="TYPE_STRING")


def test_batching_with_priorities_becomes_the_batchers_record() -> None:
    batching = Batching(
        max_batch_size=8,
        priority_levels=2,
        default_priority_level=1,
        priority_queue_policies={2: QueuePolicy(max_queue_size=3)},
    )
    assert batching.lower() == DynamicBatching(
        priority_levels=2,
        default_priority_level=1,
        priority_queue_policies=((2, QueuePolicyConfig(max_queue_size=3)),),
    )


@pytest.mark.parametrize(
    ("setting", "given", "message"),
    [
        (Batching, {"priority_levels": 2}, r"default_priority_level is 0, outside 1 … priority_levels \(2\)"),
        (Batching, {"default_priority_level": 1}, "needs priority_levels"),
        (Batching, {"priority_queue_policies": {1: QueuePolicy()}}, r"has level 1, outside 1 … priority_levels \(0\)"),
        (
            Batching,
            {"preserve_ordering": True, "priority_levels": 2, "default_priority_level": 1},
            "can't be kept with several",
        ),
        (
            Batching,
            {"preserve_ordering": True, "default_queue_policy": QueuePolicy(timeout_action="delay")},
            "can't be kept with timeout_action",
        ),
        (Batching, {"dynamic": False, "preserve_ordering": True}, "need dynamic=True"),
        (VersionPolicy, {}, "one of latest, all and specific"),
        (VersionPolicy, {"latest": 1, "all": True}, "one of latest, all and specific"),
        (Control, {"kind": "start"}, "one pair of values"),
        (Control, {"kind": "corrid"}, "has a data_type"),
        (SequenceBatching, {"direct": Direct(), "oldest": Oldest()}, "exclude each other"),
        (WarmupInput, {"data_type": "FP32"}, "one of zero_data, random_data and data_file"),
        (InitialState, {"name": "a", "data_type": "FP32"}, "one of zero_data and data_file"),
        (tritonforge.Tensor, {"labels": ("a\nb",)}, "one line"),
        (tritonforge.Tensor, {"dims": (2**63,)}, "less than 9223372036854775808"),
        (Options, {"warm_up": ()}, '"warm_up"; did you mean "warmup"'),
        (Options, {"zzz": ()}, "Extra inputs are not permitted"),
    ],
)
def test_what_triton_would_refuse_is_refused(setting: type[Setting], given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        setting(**given)


@pytest.mark.parametrize("setting", [type(one) for one in EXAMPLES], ids=lambda setting: setting.__name__)
def test_a_setting_has_each_field_of_its_record(setting: type[Setting]) -> None:
    assert set(setting.model_fields) == {binding.attribute for binding in bindings(setting.record)}


def test_options_are_the_keyword_arguments_of_definitions() -> None:
    assert (
        OptionArguments.__annotations__.keys() | CommonArguments.__annotations__.keys() == Options.model_fields.keys()
    )


def test_every_field_of_a_setting_is_documented() -> None:
    undocumented = []
    for file in Path(package.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                not isinstance(node, ast.ClassDef)
                or node.name not in package.__all__
                or node.name.endswith("Arguments")
            ):
                continue
            for statement, after in zip(node.body, [*node.body[1:], None], strict=True):
                is_field = isinstance(statement, ast.AnnAssign) and "ClassVar" not in ast.unparse(statement)
                if is_field and not isinstance(getattr(after, "value", None), ast.Constant):
                    undocumented.append(f"{node.name}.{ast.unparse(statement)}")
    assert undocumented == []


def test_every_setting_is_public() -> None:
    internal = {"CommonArguments", "OptionArguments", "Options", "Setting"}
    assert set(package.__all__) - internal <= set(tritonforge.__all__)
