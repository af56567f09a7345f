"""The parameters of a request, as an argument of a model's function: in eager calls, in signatures, in `load_model`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jaxtyping import Bool, Float32

from tritonforge import RequestParameters, Sequence, String, model, pipeline
from tritonforge.build import build
from tritonforge.errors import DiagnosticError, InvalidTensor
from tritonforge.testing import ModelError, load_model

Row = Float32[np.ndarray, "batch 2"]
X = np.ones((1, 2), np.float32)


@model
def scale(x: Row, options: RequestParameters) -> Row:
    return x * np.float32(options.get("by", 1))


@model
def defaulted(x: Row, *, options: RequestParameters | None = None) -> String[np.ndarray, "batch"]:
    return np.array([json.dumps(options)] * len(x), object)


@model
def tripled(x: Row) -> Row:
    return scale(x, {"by": 3})


@model
def tokens(x: Row, options: RequestParameters) -> Iterator[Row]:
    for number in range(int(options["count"])):
        yield x + np.float32(number)


@model(pad={"n": 0}, pad_to=[4])
def padded(
    x: Float32[np.ndarray, "batch n"], n_mask: Bool[np.ndarray, "batch n"], options: RequestParameters
) -> Float32[np.ndarray, "batch n"]:
    return x * np.float32(options.get("by", 1)) + n_mask


@model(sequence=Sequence())
class Total:
    def start(self) -> list[float]:
        return [0.0]

    def __call__(self, state: list[float], x: Row, options: RequestParameters) -> Row:
        state[0] += float(options.get("by", 1))
        return x * np.float32(state[0])


@pytest.mark.parametrize(
    "call",
    [
        lambda: scale(X, {"by": 3}),
        lambda: scale(X, options={"by": 3}),
        lambda: scale(x=X, options={"by": 3.0, "more": "text"}),
        lambda: tripled(X),
    ],
)
def test_an_eager_call_gives_them_by_position_or_by_name(call: Callable[[], Any]) -> None:
    assert call().tolist() == [[3, 3]]


def test_what_is_left_out_is_an_empty_mapping() -> None:
    assert scale(X).tolist() == [[1, 1]]  # type: ignore[call-arg]  # as a request that says nothing
    assert defaulted(X).tolist() == ["{}"]
    assert defaulted(X, options={"a": True}).tolist() == ['{"a": true}']


def test_what_is_for_queues_reaches_no_function() -> None:
    assert defaulted(X, options={"timeout": 5, "priority": 1, "a": 2}).tolist() == ['{"a": 2}']


def test_the_function_has_a_mapping_of_its_own() -> None:
    kept: list[Any] = []

    @model
    def keeps(x: Row, options: RequestParameters) -> Row:
        kept.append(options)
        return x

    given = {"by": 3}
    keeps(X, given)
    assert kept == [given]
    assert kept[0] is not given


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([1], 'scale: argument "options" is of type list; wanted a mapping'),
        ({"by": [1]}, 'scale: argument "options" has "by" of type list; a parameter is a str, int, float or bool'),
        ({"by": None}, 'has "by" of type NoneType'),
        ({1: 2}, 'scale: argument "options" has the key 1; a parameter\'s name is a str'),
        ({"sequence_id": 1}, 'scale: argument "options": the parameter "sequence_id" is of sequences'),
        ({"triton_x": 1}, 'the parameter "triton_x" has a name that Triton takes for itself'),
        ({"by": float("inf")}, "is inf; it is a finite number"),
        ({"by": 1 << 63}, "an integer of the protocol has 64 bits"),
    ],
)
def test_what_no_request_can_say_is_refused(given: Any, words: str) -> None:
    with pytest.raises(InvalidTensor) as refused:
        scale(X, given)
    assert words in str(refused.value)


def test_scalars_of_numpy_are_what_the_client_makes_of_them() -> None:
    given = {"a": np.int64(2), "b": np.float32(0.5), "c": np.bool_(True)}
    assert json.loads(str(defaulted(X, options=given)[0])) == {"a": 2, "b": 0.5, "c": True}


def test_a_misspelled_name_is_guessed() -> None:
    with pytest.raises(InvalidTensor, match="did you mean options"):
        scale(X, optoins={"by": 3})  # type: ignore[call-arg]


def test_streams_padding_and_sequences_have_them() -> None:
    assert [one.tolist() for one in tokens(X, {"count": 2})] == [[[1, 1]], [[2, 2]]]
    assert padded(X, options={"by": 3}).tolist() == [[4, 4]]  # type: ignore[call-arg]  # the mask is the model's own
    steps = Total.begin()
    assert [steps(X, {"by": by}).tolist() for by in (2, 3)] == [[[2, 2]], [[5, 5]]]  # type: ignore[call-arg, arg-type]


def test_they_are_no_input() -> None:
    assert str(scale.signature) == "(x: FP32[batch, 2]) -> (output: FP32[batch, 2])"
    assert scale.signature.request_parameters == "options"
    assert tripled.signature.request_parameters == ""


@pipeline(lowering="bls")
def chained(x: Row, options: RequestParameters) -> Row:
    options["by"] = 2
    return scale(scale(x, options), {"by": 3})


def test_a_pipeline_that_runs_here_hands_them_on() -> None:
    given = {"by": 5}
    assert chained(X, given).tolist() == [[6, 6]]
    assert given == {"by": 5}


@pytest.mark.parametrize(
    ("told", "words"),
    [([1], "wanted a mapping"), ({"by": X}, 'has "by" of type ndarray'), ({"sequence_id": 1}, "is of sequences")],
)
def test_a_step_is_told_what_a_request_can_say(told: Any, words: str) -> None:
    @pipeline
    def wrong(x: Row) -> Row:
        return scale(x, told)

    with pytest.raises(InvalidTensor, match=words):
        wrong(X)


BUILT = """
import json
from collections.abc import Iterator
import numpy as np
from jaxtyping import Bool, Float32
from tritonforge import Batching, RequestParameters, Sequence, String, TritonError, model, pipeline

Row = Float32[np.ndarray, "batch 2"]
calls = []

@model
def told(x: Row, options: RequestParameters) -> String[np.ndarray, "batch"]:
    calls.append(len(x))
    seen = json.dumps([options, len(x), len(calls)], sort_keys=True)
    options["changed"] = True
    if options.get("fails") and len(x) > 1:
        raise ValueError("together")
    return np.array([seen] * len(x), object)

@model
def outer(x: Row) -> Row:
    return scale(options={"by": 3}, x=x) + scale(x, {"by": 4}) + scale(x)

@model
def scale(x: Row, options: RequestParameters) -> Row:
    return x * np.float32(options.get("by", 1))

@model
def optional(options_only: Row | None, other: Row | None, options: RequestParameters) -> Row:
    return np.zeros((1, 2), np.float32) + np.float32(options.get("by", 1))

@model
def tokens(x: Row, options: RequestParameters) -> Iterator[Row]:
    for number in range(int(options["count"])):
        yield x + np.float32(number)

@model(pad={"n": 0})
def padded(
    x: Float32[np.ndarray, "batch n"], options: RequestParameters, n_mask: Bool[np.ndarray, "batch n"]
) -> Float32[np.ndarray, "batch n"]:
    return x * np.float32(options.get("by", 1)) + np.float32(len(x)) * n_mask

@model(sequence=Sequence())
class Total:
    def start(self):
        return [0.0]

    def __call__(self, state, x: Row, options: RequestParameters) -> Row:
        state[0] += float(options.get("by", 1))
        return x * np.float32(state[0])

@pipeline(lowering="fused")
def fused(x: Row, options: RequestParameters) -> String[np.ndarray, "batch"]:
    return told(scale(options=options, x=scale(x)), options)

@pipeline(lowering="auto")
def chosen(x: Row) -> Row:
    return scale(x)

@pipeline(lowering="bls")
def called(x: Row, options: RequestParameters) -> Row:
    return scale(scale(x, options), options)

@pipeline(lowering="bls")
def decided(x: Row, options: RequestParameters) -> Row:
    return scale(x, {"by": np.float64(options["by"]) / 2}) if "by" in options else x

@pipeline(lowering="bls")
def mistaken(x: Row, options: RequestParameters) -> Row:
    return scale(x, {"by": [1]} if options.get("list") else "by=1")
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("told")
    (folder / "serving.py").write_text(BUILT)
    build([folder / "serving.py"], folder / "repository")
    return folder / "repository"


def _seen(answer: Any) -> Any:
    assert isinstance(answer, Mapping)
    return json.loads(answer["output"][0, 0])


def test_requests_share_a_call_where_they_say_the_same(repository: Path) -> None:
    with load_model(repository / "told") as served:
        given: list[dict[str, Any]] = [{"by": 1, "to": "a"}, {"by": True}, {}, {"to": "a", "by": 1}, {"by": 1.0}]
        answers = served.infer_together([{"x": X, "options": options} for options in given])
        alone = served.infer(x=X)

    assert [_seen(answer) for answer in answers] == [
        [{"by": 1, "to": "a"}, 2, 1],
        [{"by": True}, 1, 2],
        [{}, 1, 3],
        [{"by": 1, "to": "a"}, 2, 1],
        [{"by": 1.0}, 1, 4],
    ]
    assert _seen(alone) == [{}, 1, 5]


def test_a_request_that_is_tried_alone_has_what_it_said(repository: Path) -> None:
    with load_model(repository / "told") as served:
        answers = served.infer_together([{"x": X, "options": {"fails": True}}] * 2)

    assert [_seen(answer)[0] for answer in answers] == [{"fails": True}] * 2


def test_code_that_calls_such_a_model_says_them(repository: Path) -> None:
    with load_model(repository / "outer") as served:
        assert served.infer(x=X)["output"].tolist() == [[8, 8]]


def test_a_request_may_leave_out_all_inputs_that_have_rows(repository: Path) -> None:
    with load_model(repository / "optional") as served:
        assert served.infer(other=X, options={"by": 5})["output"].tolist() == [[5, 5]]


def test_what_is_padded_is_padded_with_those_that_say_the_same(repository: Path) -> None:
    ones = [np.ones((1, size), np.float32) for size in (1, 3, 2)]
    with load_model(repository / "padded") as served:
        answers = served.infer_together(
            [{"x": x, "options": {"by": by}} for x, by in zip(ones, (2, 5, 2), strict=True)]
        )

    results = [answer["output"].tolist() for answer in answers if isinstance(answer, Mapping)]
    assert results == [[[4]], [[6, 6, 6]], [[4, 4]]]


def test_served_streams_and_sequences_have_them(repository: Path) -> None:
    with load_model(repository / "tokens") as served:
        responses = served.stream(x=X, options={"count": 3})
    assert [response["output"].tolist() for response in responses if isinstance(response, Mapping)] == [
        [[1, 1]],
        [[2, 2]],
        [[3, 3]],
    ]
    with load_model(repository / "Total") as served:
        answers = served.sequence([{"x": X, "options": {"by": 2}}, {"x": X}])
    assert [answer["output"].tolist() for answer in answers if isinstance(answer, Mapping)] == [[[2, 2]], [[3, 3]]]


def test_steps_beside_a_body_have_them(repository: Path) -> None:
    with load_model(repository / "fused") as served:
        given: list[dict[str, Any]] = [{"by": 2, "a": 1}, {"a": 1, "by": 2}, {}]
        answers = served.infer_together([{"x": X, "options": options} for options in given])
    assert [_seen(answer) for answer in answers] == [[{"by": 2, "a": 1}, 2, 1]] * 2 + [[{}, 1, 2]]


def test_a_step_that_is_told_nothing_keeps_a_pipeline_from_being_an_ensemble(repository: Path) -> None:
    assert "ensemble" not in (repository / "chosen" / "config.pbtxt").read_text()
    with load_model(repository / "chosen") as served:
        assert served.infer(x=X)["output"].tolist() == [[1, 1]]


def test_bodies_tell_the_models_that_they_call(repository: Path) -> None:
    sent: list[int] = []
    with load_model(repository / "scale") as scaling:

        def scale(**inputs: Any) -> Mapping[str, Any]:
            sent.append(len(inputs["x"]))
            return scaling.infer(**inputs)

        with load_model(repository / "called", models={"scale": scale}) as served:
            told = [{"by": 2.5}, {"by": 2}, {"by": 2.5}, {}]
            answers = served.infer_together([{"x": X, "options": options} for options in told])
            assert [answer["output"].tolist() for answer in answers if isinstance(answer, Mapping)] == [
                [[6.25, 6.25]],
                [[4, 4]],
                [[6.25, 6.25]],
                [[1, 1]],
            ]
            assert sent == [2, 2, 1, 1, 1, 1]  # requests that say the same share a run of the body
            sent.clear()
        with load_model(repository / "decided", models={"scale": scale}) as served:
            answers = served.infer_together([{"x": X, "options": {"by": by}} for by in (2, 6, 2)])
            assert [answer["output"].tolist() for answer in answers if isinstance(answer, Mapping)] == [
                [[1, 1]],
                [[3, 3]],
                [[1, 1]],
            ]
            assert sorted(sent) == [1, 2]  # bodies side by side share the calls that say the same
        with load_model(repository / "mistaken", models={"scale": scale}) as served:
            with pytest.raises(ModelError, match='argument "options" has "by" of type list; a parameter is a str'):
                served.infer(x=X, options={"list": True})
            with pytest.raises(ModelError, match='scale: argument "options" is of type str; wanted a mapping'):
                served.infer(x=X)


@pytest.mark.parametrize(("default", "taken"), [(None, True), ({}, True), ({"by": 3}, False)])
def test_a_default_that_no_function_gets_is_refused(default: Any, taken: bool) -> None:
    """A request that says nothing gives an empty mapping."""

    @model
    def with_default(x: Row, options: RequestParameters | None = default) -> Row:
        return x

    if taken:
        assert with_default.signature.request_parameters == "options"
        return
    with pytest.raises(DiagnosticError) as refused:
        _ = with_default.signature
    (found,) = refused.value.diagnostics
    assert (found.code, found.hint) == ("TF110", 'leave it out, and take each value with its own: options.get("…", …)')
