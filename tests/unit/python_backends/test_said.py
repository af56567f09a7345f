"""Request parameters that a body says, served: as in an eager call."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tritonforge_runtime.batch import RequestParameters
from tritonforge_runtime.errors import InvalidArgument
from tritonforge_runtime.said import read_said

from tritonforge.define.request_parameters import check_request_parameters
from tritonforge.errors import InvalidTensor

PLACE = 'm: argument "options"'


@pytest.mark.parametrize(
    "given",
    [
        None,
        {},
        {"a": 1, "b": 1.5, "c": True, "d": "text é"},
        {"a": np.int64(2), "b": np.float32(0.5), "c": np.bool_(True)},
        {"timeout": 3, "priority": 1, "q": 2},
        {"a": (1 << 63) - 1, "b": -(1 << 63)},
    ],
    ids=str,
)
def test_what_a_request_can_say_is_what_the_model_gets(given: Any) -> None:
    said = read_said(PLACE, given)
    assert type(said) is RequestParameters
    assert said == check_request_parameters("m", "options", given)
    assert {name: type(value) for name, value in said.items()} == {
        name: type(value) for name, value in check_request_parameters("m", "options", given).items()
    }


@pytest.mark.parametrize(
    "given",
    [
        [1],
        5,
        {1: 1},
        {"a": [1]},
        {"a": None},
        {"sequence_id": 3},
        {"sequence_end": True},
        {"triton_x": 1},
        {"binary_data_output": True},
        {"a": float("nan")},
        {"a": float("-inf")},
        {"a": 1 << 63},
        {"a": 10**400},
        {"a": "x\0y"},
        {"a\0": 1},
        {"a": "\ud800"},
        {"\ud800": 1},
        {"timeout": "3"},
        {"timeout": True},
        {"priority": 1.5},
        {"priority": -1},
    ],
    ids=ascii,
)
def test_what_none_can_say_is_refused_in_the_words_of_an_eager_call(given: Any) -> None:
    with pytest.raises(InvalidTensor) as eager:
        check_request_parameters("m", "options", given)
    with pytest.raises(InvalidArgument) as served:
        read_said(PLACE, given)
    assert str(served.value) == str(eager.value)
