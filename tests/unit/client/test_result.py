"""Access to the outputs of an inference."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from tritonforge.client import InferenceFailed, Result, ServerUnavailable
from tritonforge.client.errors import Target
from tritonforge.client.message import Response, Tensor
from tritonforge.client.tensors.classes import labelled
from tritonforge.client.tensors.payload import read_result, require_own

LABEL, P = np.array([1, 0]), np.array([[0.1, 0.9], [0.8, 0.2]], np.float32)


@pytest.fixture
def result():
    return Result({"label": LABEL, "probability": P, "id": LABEL}, model="fraud", model_version="2", id="req-1")


def test_outputs_are_reached_by_name_attribute_and_order(result):
    label, probability, _ = result
    assert result["label"] is result.label is result[0] is label is LABEL
    assert result["probability"] is result[-2] is probability
    assert len(result) == 3
    assert "label" in result
    assert list(result.outputs) == ["label", "probability", "id"]


def test_an_output_named_like_a_field_is_reached_by_name(result):
    assert result.id == "req-1"
    assert result["id"] is LABEL


def test_an_unknown_output_is_told_with_those_there_are(result):
    with pytest.raises(KeyError, match="no output 'prob'; there are: label, probability, id"):
        result["prob"]
    with pytest.raises(AttributeError, match="no output 'prob'; there are: label, probability, id"):
        _ = result.prob


def test_a_result_is_shown_by_its_shapes(result):
    assert repr(result) == "<Result of fraud version 2: label: INT64[2], probability: FP32[2, 2], id: INT64[2]>"
    assert "probability" in dir(result)


@pytest.mark.parametrize("through", [copy.copy, copy.deepcopy, lambda result: pickle.loads(pickle.dumps(result))])
def test_a_result_is_copied_and_pickled(result, through):
    again = through(result)
    assert np.array_equal(again.probability, P)
    assert again.model_version == "2"


def response(*names: str, datatype: str = "INT8", id: str = "") -> Response:
    return Response("m", "1", id, tuple(Tensor(name, datatype, (1,), b"\1") for name in names), {})


def test_an_output_of_another_datatype_than_the_models_is_refused():
    target = Target("http://h:1", "m")
    assert read_result(response("y", datatype="UINT8"), ["y"], target, {"y": "UINT8"}).y.tolist() == [1]
    assert read_result(response("y", datatype="UINT8"), ["y"], target, {}).y.tolist() == [1], "one that isn't known"
    with pytest.raises(InferenceFailed, match="its output 'y' is UINT8, and declared as INT8"):
        read_result(response("y", datatype="UINT8"), ["y"], target, {"y": "INT8"})


def test_an_answer_to_another_request_is_refused():
    target = Target("http://h:1", "m", request_id="q1")
    for id in ("q1", ""):  # other servers of the protocol may leave it out
        require_own(response("y", id=id), target)
    with pytest.raises(ServerUnavailable, match="its id is zzz, and that of the request q1"):
        require_own(response("y", id="zzz"), target)


def test_an_answer_of_another_model_or_version_is_refused():
    for asked in ("", "1", "01"):
        require_own(response("y"), Target("http://h:1", "m", asked))
    for asked in (Target("http://h:1", "n"), Target("http://h:1", "m", "2")):
        with pytest.raises(ServerUnavailable, match="the answer is not of this model: it is of m version 1"):
            require_own(response("y"), asked)


def test_an_answer_without_outputs_is_the_models_where_it_names_that():
    target = Target("http://h:1", "m")
    require_own(response(), target)
    result = read_result(response(), ["a", "b"], target, BOTH)
    with pytest.raises(AttributeError, match="no output 'a'; there are: none"):
        _ = result.a
    with pytest.raises(ServerUnavailable, match="the answer is not of this model: it is of none"):
        require_own(Response("", "", "", (), {}), target)


BOTH = {"a": "INT8", "b": "INT8"}


def test_an_output_in_the_place_of_one_of_the_models_is_refused():
    target = Target("http://h:1", "m")
    assert list(read_result(response("b", "a"), ["a", "b"], target, BOTH).outputs) == ["a", "b"]
    assert list(read_result(response("a"), ["a", "b"], target, BOTH).outputs) == ["a"], "it may leave some out"
    assert list(read_result(response("c", "a"), ["a"], target, {"a": "INT8"}).outputs) == ["a", "c"], "or give more"
    with pytest.raises(InferenceFailed, match="it has an output 'c'; declared are a, b"):
        read_result(response("a", "c"), ["a", "b"], target, BOTH)


def test_classes_of_an_output_that_did_not_come_are_told():
    with pytest.raises(InferenceFailed, match="there is no output 'y'"):
        labelled(Result({"z": LABEL}), {"y": 1}, Target("http://h:1", "m"))
