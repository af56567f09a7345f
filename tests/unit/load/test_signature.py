"""What the server says of a model."""

from __future__ import annotations

import pytest

from tritonforge.load import LoadFailed
from tritonforge.load.input.signature import read_model


def test_a_datatype_that_the_protocol_does_not_have_is_told() -> None:
    metadata = {"name": "m", "inputs": [{"name": "x", "datatype": "FP99", "shape": [2]}], "outputs": []}
    with pytest.raises(LoadFailed, match=r'm: the server says that "x" is FP99, which is none of .*: BOOL, '):
        read_model(metadata, {})


def test_a_shape_that_is_no_list_is_refused() -> None:
    metadata = {"name": "m", "inputs": [{"name": "x", "datatype": "FP32", "shape": "4"}]}
    with pytest.raises(LoadFailed, match="the shape of \"x\" is '4', no list"):
        read_model(metadata, {})
