"""The lowering of a pipeline: what `auto` takes, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from jaxtyping import Float32
from onnx import TensorProto, helper, save_model

from tritonforge import Batching, Instances, Warmup, WarmupInput, model, onnx, pipeline, torchscript
from tritonforge.define import Definition
from tritonforge.lower import Choice, gather

Rows = Float32[np.ndarray, "batch n"]


@model
def plain(x: Rows) -> Rows:
    return x


@model(batching=Batching(max_batch_size=8), instances=Instances(cpu=1))
def small(x: Rows) -> Rows:
    return x


@model(batching=Batching(max_queue_delay_us=100), instances=Instances(cpu=2), response_cache=True)
def settled(x: Rows) -> Rows:
    return x


@model(pad={"n": 0})
def padded(x: Rows) -> Rows:
    return x


@model(parameters={"table": "large"})
class Loaded:
    def __call__(self, x: Rows) -> Rows:
        return x


@model
class Shared:
    def __call__(self, x: Rows) -> Rows:
        return x


@model
def counted(x: Rows) -> Iterator[Rows]:
    yield x


@model
def joined(x: Rows, y: Rows) -> Rows:
    return x + y


def chained_and_joined(x: Rows) -> Rows:
    y = plain(x)
    return joined(x, joined(y, small(y)))


script = torchscript("net.pt", inputs={"x": Rows}, outputs={"y": Rows})


@pipeline(lowering="bls")
def routed(x: Rows) -> Rows:
    return plain(x) if plain(x).sum() > 0 else small(x)


@pipeline
def inner(x: Rows) -> Rows:
    return small(x)


class Swapped(NamedTuple):
    x: Rows


def chain(*steps: Any, lowering: str = "auto", **settings: Any) -> Definition[..., Any]:
    """Make a pipeline of steps, one after the other."""

    def body(x: Rows) -> Rows:
        for step in steps:
            x = step(x)
        return x

    made = pipeline(name="chained", lowering=lowering, **settings)(body)
    made._variable = "chained"  # as if a module held it
    return made


def choice_of(definition: Definition[..., Any], *others: Definition[..., Any]) -> Choice:
    gathered = gather([definition, *others])
    return gathered.choices[id(definition)]


def test_python_that_loses_nothing_is_fused() -> None:
    choice = choice_of(chain(plain, small, inner))

    assert (choice.lowering, choice.automatic) == ("fused", True)
    assert choice.reasons == ("all its steps (plain, small) are Python that loses nothing by running in one process",)
    assert [lowering for lowering, _ in choice.others] == ["ensemble", "bls"]


def test_golden_samples_are_no_reason_against_fusing() -> None:
    step = model(examples={"x": np.zeros((1, 2), np.float32)})(plain.target)
    step._variable = "sampled"
    assert choice_of(chain(plain, step)).lowering == "fused"


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (settled, "settled has settings that count only where it is scheduled by itself: "
                  "instances, max_queue_delay_us, response_cache"),
        (padded, "padded pads requests of different sizes to share a call, which it does only by itself"),
        (Loaded, "Loaded has settings that count only where it is scheduled by itself: parameters"),
        (script, "script is TorchScript, which can't run inside a fused pipeline"),
        (routed, "routed is a bls pipeline, which calls its models where Triton serves them"),
    ],
)  # fmt: skip
def test_a_step_that_would_lose_by_fusing_makes_an_ensemble(step: Any, reason: str) -> None:
    choice = choice_of(chain(plain, step))

    assert (choice.lowering, choice.reasons) == ("ensemble", (reason,))


def test_an_onnx_step_makes_an_ensemble(tmp_path: Path) -> None:
    dims = ["batch", "n"]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name in ("x", "y"))
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "graph", [x], [y])
    save_model(helper.make_model(graph), tmp_path / "graph.onnx")

    step = onnx(tmp_path / "graph.onnx", name="graph")
    step._variable = "graph"
    choice = choice_of(chain(plain, step))

    reason = "graph is ONNX, which needs the Python package onnxruntime when fused, and NVIDIA's image has none"
    assert (choice.lowering, choice.reasons) == ("ensemble", (reason,))


def test_a_class_that_several_pipelines_call_is_loaded_once() -> None:
    one, other = chain(Shared), chain(Shared, plain)

    assert choice_of(one).lowering == "fused"
    both = choice_of(one, other)
    assert both.lowering == "ensemble"
    assert both.reasons == ("Shared is a class that 2 pipelines call: fused, each would load its own copy",)


def test_a_pipeline_that_only_an_ensemble_can_be_is_one() -> None:
    choice = choice_of(chain(plain, max_inflight_requests=2))

    assert (choice.lowering, choice.reasons) == ("ensemble", ("max_inflight_requests is a setting of ensembles",))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"batching": Batching(), "instances": Instances(cpu=2)}, "batching and instances"),
        (
            {"warmup": Warmup(name="w", inputs={"x": WarmupInput(data_type="FP32", dims=(2,), zero_data=True)})},
            "warmup",
        ),
    ],
)
def test_a_pipeline_that_no_ensemble_can_be_is_fused(settings: dict[str, Any], named: str) -> None:
    """Even where a step loses settings by it: the pipeline's own are asked for."""
    choice = choice_of(chain(settled, **settings))

    assert choice.lowering == "fused"
    assert choice.reasons == (f"it has {named} of its own, which an ensemble can't have",)


def test_an_output_with_an_inputs_name_is_fused() -> None:
    def body(x: Rows) -> Swapped:
        return Swapped(settled(x))

    made = pipeline(name="swapped", lowering="auto")(body)
    made._variable = "swapped"

    assert "has the name of an input" in choice_of(made).reasons[0]


def test_a_pipeline_without_a_variable_is_no_python_model() -> None:
    made = chain(plain)
    made._variable = ""

    assert choice_of(made).lowering == "ensemble"


def test_a_body_that_branches_is_sent_to_bls() -> None:
    def body(x: Rows) -> Rows:
        return plain(x) if x else x

    (found,) = gather([pipeline(name="branching", lowering="auto")(body)]).diagnostics

    assert found.code == "TF209"
    assert 'lowering="bls"' in found.hint


def test_of_a_lowering_that_was_asked_for_the_others_are_told() -> None:
    fused = choice_of(chain(settled, lowering="fused"))
    assert (fused.lowering, fused.automatic, fused.reasons) == ("fused", False, ("its definition says so",))
    assert [lowering for lowering, _ in fused.others] == ["ensemble", "bls"]

    ensemble = dict(choice_of(chain(plain, lowering="ensemble")).others)
    assert ensemble["fused"] == "nothing speaks against it, and it has no hops between steps"

    assert dict(choice_of(routed).others) == dict.fromkeys(
        ("ensemble", "fused"),
        'its body asks a tensor for an attribute, "sum"; a pipeline only passes tensors between models',
    )


@pytest.mark.parametrize("lowering", ["ensemble", "fused", "bls"])
def test_steps_that_run_beside_each_other_speak_against_an_ensemble(lowering: Any) -> None:
    def forked(x: Rows) -> Rows:
        return joined(plain(x), small(x))

    def told(body: Any) -> list[str]:
        made = pipeline(name="forked", lowering=lowering)(body)
        made._variable = "forked"
        choice = choice_of(made)
        against = (*choice.others, (choice.lowering, choice.risk))
        return [name for name, reason in against if reason.endswith("requests, or crashes")]

    assert told(forked) == ["ensemble"]
    assert told(chained_and_joined) == []


def test_a_bls_body_that_only_another_lowering_refuses_is_no_mistake() -> None:
    """An array of its own is fine in bls, and why the others won't have it is told."""

    def body(x: Rows) -> Rows:
        return plain(np.zeros((1, 2), np.float32))

    made = pipeline(name="constant", lowering="bls")(body)
    made._variable = "constant"
    gathered = gather([made])

    assert gathered.diagnostics == ()
    assert gathered.graph(made) is None
    assert dict(gathered.choices[id(made)].others)["fused"].startswith('constant → plain, input "x": is fed with a')


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (lambda x: plain(x=x, y=x), "TF201"),
        (lambda x: plain(plain), "TF201"),
        (lambda x: plain(), "TF202"),
        (lambda x: None, "TF207"),
        (lambda x: plain(counted(x)), "TF213"),
        (lambda x: counted(x) if x.sum() > 0 else x, "TF213"),
        (lambda x: plain(not_defined), "TF219"),  # type: ignore[name-defined]
    ],
)
def test_a_mistake_that_needs_no_data_is_one_in_bls_too(body: Any, code: str) -> None:
    body.__annotations__ = {"x": Rows, "return": Rows}
    made = pipeline(name="mistaken", lowering="bls")(body)
    made._variable = "mistaken"

    assert [one.code for one in gather([made]).diagnostics] == [code]
