"""Padded dimensions of a model: how they are declared, and eager calls."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from jaxtyping import Bool, Float32, Int64

from tritonforge import model
from tritonforge.define.python_model import PythonModel
from tritonforge.errors import InvalidTensor
from tritonforge.ir import PaddedDim


class Result(NamedTuple):
    length: Int64[np.ndarray, "batch"]
    ids: Int64[np.ndarray, "batch seq"]


def filled(ids: Int64[np.ndarray, "batch seq"], seq_mask: Bool[np.ndarray, "batch seq"]) -> Result:
    assert (ids[~seq_mask] == -1).all()
    return Result(np.full(len(ids), ids.shape[1]), ids)


def plain(ids: Int64[np.ndarray, "batch seq"]) -> Int64[np.ndarray, "batch seq"]:
    return ids[:, :2]


IDS = np.array([[1, 2, 3], [4, 5, 6]])


def padded(target: Any, **settings: Any) -> PythonModel[..., Any]:
    return model(**settings)(target)


def test_the_mask_is_no_input() -> None:
    made = padded(filled, pad={"seq": -1}, pad_to=[4, 8])

    assert [spec.name for spec in made.signature.inputs] == ["ids"]
    assert made.padding == (PaddedDim("seq", -1, (4, 8), (("ids", 1),), (("ids", 1),), mask=True),)


def test_without_pad_a_mask_is_an_input_like_any_other() -> None:
    assert [spec.name for spec in padded(filled).signature.inputs] == ["ids", "seq_mask"]


@pytest.mark.parametrize(("settings", "length"), [({}, 3), ({"pad_to": [3]}, 3), ({"pad_to": {"seq": [2, 5]}}, 5)])
def test_an_eager_call_is_padded_as_a_request_that_is_served_alone(settings: dict[str, Any], length: int) -> None:
    result = padded(filled, pad={"seq": -1}, **settings)(ids=IDS)

    assert isinstance(result, Result)
    assert result.length.tolist() == [length, length]
    np.testing.assert_array_equal(result.ids, IDS)


def test_an_eager_call_past_the_last_bucket_is_refused() -> None:
    with pytest.raises(InvalidTensor, match=r"filled: seq is 3, longer than the 2 that it takes at most \(pad_to\)"):
        padded(filled, pad={"seq": -1}, pad_to=[2])(ids=IDS)


def test_a_result_that_lost_the_padding_is_refused() -> None:
    with pytest.raises(InvalidTensor, match='plain: result "output" has seq 2; wanted 4, as padded'):
        padded(plain, pad={"seq": 0}, pad_to=[4])(ids=IDS)


@pytest.mark.parametrize(
    ("value", "literal"), [(0, "0"), (float("-inf"), 'float("-inf")'), ("[PAD]", "'[PAD]'"), (b"\0", "b'\\x00'")]
)
def test_a_value_is_written_as_python(value: Any, literal: str) -> None:
    assert PaddedDim("seq", value).literal == literal


def test_values_of_every_kind_fit() -> None:
    def masked(scores: Float32[np.ndarray, "batch seq"]) -> Float32[np.ndarray, "batch seq"]:
        return scores

    made = padded(masked, pad={"seq": float("-inf")}, pad_to=[4])

    np.testing.assert_array_equal(made(scores=IDS.astype(np.float32)), IDS)


def test_an_output_whose_dimension_no_input_has_stays_filled_up() -> None:
    """As before weights, which see few shapes then."""

    @model(pad={"seq": 7}, pad_to=[4, 8])
    def fill(ids: Int64[np.ndarray, "batch seq"]) -> Int64[np.ndarray, "batch width"]:
        return ids

    assert fill(np.array([[1, 2, 3]])).tolist() == [[1, 2, 3, 7]]
