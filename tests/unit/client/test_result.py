"""Access to the outputs of an inference."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from tritonforge.client import Result

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
