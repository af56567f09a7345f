"""Lowering of pipelines: the steps of an ensemble, its batch size, and the identity model."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from jaxtyping import Float32

from tritonforge import Batching, model, pipeline
from tritonforge.ir import Code, EnsembleStep, Model, Shim, TensorConfig
from tritonforge.lower import gather, lower

CODE = Code(Shim("test_ensembles", "", ("source",)), ())


class Two(NamedTuple):
    one: Float32[np.ndarray, "batch 3"]
    two: Float32[np.ndarray, "batch 3"]


class Kept(NamedTuple):
    scaled: Float32[np.ndarray, "batch 3"]
    x: Float32[np.ndarray, "batch 3"]


class Idle(NamedTuple):
    scaled: Float32[np.ndarray, "batch 3"]
    y: Float32[np.ndarray, "batch 3"]


@model(batching=Batching(max_batch_size=32))
def scale(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    return x


@model(name="scale_2", batching=Batching(max_batch_size=16))
def second(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    return x


@model
def add(
    left: Float32[np.ndarray, "batch 3"], right: Float32[np.ndarray, "batch 3"] | None = None
) -> Float32[np.ndarray, "batch 3"]:
    return left


@model
def split(x: Float32[np.ndarray, "batch 3"]) -> Two:
    return Two(x, x)


@model
def rank1(x: Float32[np.ndarray, "batch"]) -> Float32[np.ndarray, "batch"]:
    return x


@model
def whole(x: Float32[np.ndarray, "n"]) -> Float32[np.ndarray, "n"]:
    return x


@pipeline
def chain(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    return second(scale(scale(x)))


@pipeline
def diamond(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    scaled = scale(x)
    return add(scaled, scale(scaled))


@pipeline
def nested(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    return add(chain(x), x)


@pipeline
def partly(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    one, _ = split(x)
    return one


@pipeline
def kept(x: Float32[np.ndarray, "batch 3"]) -> Kept:
    return Kept(scale(x), x)


@pipeline
def renamed(x: Float32[np.ndarray, "batch 3"]) -> Two:
    return Two(scale(x), x)


@pipeline
def repeated(x: Float32[np.ndarray, "batch 3"]) -> Two:
    scaled = scale(x)
    return Two(scaled, scaled)


@pipeline
def halfway(x: Float32[np.ndarray, "batch 3"]) -> Two:
    scaled = scale(x)
    return Two(scaled, scale(scaled))


@pipeline
def inner_only(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    return kept(x).scaled


@pipeline
def idle(x: Float32[np.ndarray, "batch 3"], y: Float32[np.ndarray, "batch 3"]) -> Idle:
    return Idle(scale(x), y)


@pipeline
def dead(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
    scale(add(x))
    return scale(x)


@pipeline
def optional(
    x: Float32[np.ndarray, "batch 3"], bonus: Float32[np.ndarray, "batch 3"] | None = None
) -> Float32[np.ndarray, "batch 3"]:
    return add(x, bonus)


@pipeline
def ones(x: Float32[np.ndarray, "batch"]) -> Float32[np.ndarray, "batch"]:
    return rank1(x)


@pipeline
def unbatched(x: Float32[np.ndarray, "n"]) -> Float32[np.ndarray, "n"]:
    return whole(x)


def lowered(*definitions: Any) -> dict[str, Model]:
    gathered = gather(definitions)
    repository, found = lower(gathered, lambda definition: CODE)
    assert (*gathered.diagnostics, *found) == ()
    return dict(repository.by_name())


def steps(definition: Any) -> list[tuple[str, dict[str, str], dict[str, str]]]:
    config = lowered(definition)[definition.name].config
    return [(step.model_name, dict(step.input_map), dict(step.output_map)) for step in config.ensemble_steps]


def test_what_a_pipeline_calls_comes_with_it() -> None:
    assert sorted(lowered(nested)) == ["add", "chain", "nested", "scale", "scale_2"]


def test_an_ensemble_has_nothing_but_its_steps() -> None:
    config = lowered(chain)["chain"].config
    assert (config.platform, config.backend, config.instance_groups, config.dynamic_batching) == (
        "ensemble",
        "",
        (),
        None,
    )


@pytest.mark.parametrize(
    ("definition", "wanted"),
    [
        (
            chain,
            [
                ("scale", {"x": "x"}, {"output": "scale.output"}),
                ("scale", {"x": "scale.output"}, {"output": "scale#2.output"}),
                ("scale_2", {"x": "scale#2.output"}, {"output": "output"}),
            ],
        ),
        (
            diamond,
            [
                ("scale", {"x": "x"}, {"output": "scale.output"}),
                ("scale", {"x": "scale.output"}, {"output": "scale#2.output"}),
                ("add", {"left": "scale.output", "right": "scale#2.output"}, {"output": "output"}),
            ],
        ),
        (
            nested,
            [
                ("scale", {"x": "x"}, {"output": "scale.output"}),
                ("scale", {"x": "scale.output"}, {"output": "scale#2.output"}),
                ("scale_2", {"x": "scale#2.output"}, {"output": "scale_2.output"}),
                ("add", {"left": "scale_2.output", "right": "x"}, {"output": "output"}),
            ],
        ),
        (partly, [("split", {"x": "x"}, {"one": "output"})]),
        (kept, [("scale", {"x": "x"}, {"output": "scaled"})]),
        (
            renamed,
            [
                ("scale", {"x": "x"}, {"output": "one"}),
                ("renamed.identity", {"two": "x"}, {"two": "two"}),
            ],
        ),
        (
            repeated,
            [
                ("scale", {"x": "x"}, {"output": "scale.output"}),
                (
                    "repeated.identity",
                    {"one": "scale.output", "two": "scale.output"},
                    {"one": "one", "two": "two"},
                ),
            ],
        ),
        (
            halfway,
            [
                ("scale", {"x": "x"}, {"output": "scale.output"}),
                ("scale", {"x": "scale.output"}, {"output": "two"}),
                ("halfway.identity", {"one": "scale.output"}, {"one": "one"}),
            ],
        ),
        (inner_only, [("scale", {"x": "x"}, {"output": "output"})]),
        (
            idle,
            [
                ("scale", {"x": "x"}, {"output": "scale.output"}),
                ("idle.identity", {"scaled": "scale.output", "y": "y"}, {"scaled": "scaled"}),
            ],
        ),
        (dead, [("scale", {"x": "x"}, {"output": "output"})]),
        (optional, [("add", {"left": "x", "right": "bonus"}, {"output": "output"})]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_each_step_maps_its_tensors(definition: Any, wanted: Any) -> None:
    assert steps(definition) == wanted


ALL = [
    *(chain, diamond, nested, partly, kept, renamed, repeated, halfway, inner_only, idle, dead, optional),
    *(ones, unbatched),
]


@pytest.mark.parametrize("definition", ALL, ids=lambda one: one.name)
def test_every_tensor_of_an_ensemble_is_made_once_before_it_is_used_and_used(definition: Any) -> None:
    models = lowered(definition)
    config = models[definition.name].config
    made = {tensor.name for tensor in config.inputs}
    used = {tensor.name for tensor in config.outputs}
    for step in config.ensemble_steps:
        assert {tensor for _, tensor in step.input_map} <= made
        results = [tensor for _, tensor in step.output_map]
        assert not made & set(results)
        assert len(results) == len(set(results))
        made |= set(results)
        used |= {tensor for _, tensor in step.input_map}
        signature = models[step.model_name].signature
        assert {name for name, _ in step.input_map} <= {spec.name for spec in signature.inputs}
        assert {name for name, _ in step.output_map} <= {spec.name for spec in signature.outputs}
    assert {tensor.name for tensor in config.outputs} <= made
    assert made == used


@pytest.mark.parametrize(
    "definition", [chain, diamond, nested, repeated, halfway, inner_only], ids=lambda one: one.name
)
def test_any_of_an_ensembles_outputs_can_be_asked_for_alone(definition: Any) -> None:
    """No step takes what is an output too: Triton 24.10 deadlocks where only other outputs are asked for."""
    config = lowered(definition)[definition.name].config
    taken = {tensor for step in config.ensemble_steps for _, tensor in step.input_map}
    assert not taken & {tensor.name for tensor in config.outputs}


def test_an_ensemble_calls_no_ensemble() -> None:
    for definition in (nested, inner_only):
        models = lowered(definition)
        for step in models[definition.name].config.ensemble_steps:
            assert models[step.model_name].config.platform != "ensemble"


def test_the_batch_size_is_the_least_of_all_below() -> None:
    sizes = {name: one.config.max_batch_size for name, one in lowered(nested, diamond, ones, unbatched).items()}
    assert sizes == {
        "add": 64,
        "chain": 16,
        "diamond": 32,
        "nested": 16,
        "ones": 64,
        "rank1": 64,
        "scale": 32,
        "scale_2": 16,
        "unbatched": 0,
        "whole": 0,
    }


def test_an_ensemble_has_no_reshape_of_its_own() -> None:
    models = lowered(ones)
    assert models["ones"].config.inputs == (TensorConfig("x", "TYPE_FP32", (1,)),)
    assert models["rank1"].config.inputs == (TensorConfig("x", "TYPE_FP32", (1,), ()),)


def test_optional_inputs_stay_optional() -> None:
    assert [tensor.optional for tensor in lowered(optional)["optional"].config.inputs] == [False, True]


@pytest.mark.parametrize(
    ("definition", "given", "result"), [(renamed, ["x"], "x"), (idle, ["scaled", "y"], "scaled")], ids=str
)
def test_the_identity_model_gives_its_input_back(definition: Any, given: list[str], result: str) -> None:
    identity = lowered(definition)[f"{definition.name}.identity"]
    assert identity.code is not None
    assert identity.config.backend == "python"
    (source,) = [file.content for file in identity.code.files]
    namespace: dict[str, Any] = {}
    exec(source or b"", namespace)
    function = namespace[identity.code.shim.attribute]
    tensors = {spec.name: np.full(2, index) for index, spec in enumerate(identity.signature.inputs)}
    results = function(**tensors)
    results = results if isinstance(results, tuple) else (results,)
    for spec, array in zip(identity.signature.outputs, results, strict=True):
        assert array is tensors[spec.name]
    assert [spec.name for spec in identity.signature.outputs][:1] == [{"x": "two"}.get(result, result)]
    assert len(identity.signature.inputs) == len(given)


def test_steps_take_the_newest_version() -> None:
    assert {step.model_version for step in lowered(chain)["chain"].config.ensemble_steps} == {-1}
    assert isinstance(lowered(chain)["chain"].config.ensemble_steps[0], EnsembleStep)
