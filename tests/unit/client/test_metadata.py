"""What the server tells of a model."""

from __future__ import annotations

import pytest

from tritonforge.client.metadata import read_served_model

METADATA = {
    "name": "m",
    "versions": ["1", "2"],
    "platform": "python",
    "inputs": [
        {"name": "x", "datatype": "FP32", "shape": [-1, 20]},
        {"name": "t", "datatype": "BYTES", "shape": [-1, -1]},
    ],
    "outputs": [{"name": "y", "datatype": "INT64", "shape": ["-1", "1"]}],
}


def test_a_batching_model_has_its_batch_apart_from_its_dimensions():
    config = {"max_batch_size": 8, "input": [{"name": "t", "optional": True}, {"name": "x", "optional": False}]}
    served = read_served_model(METADATA, config)
    assert str(served.signature) == ("(x: FP32[batch, 20], t: BYTES[batch, _] | None) -> (y: INT64[batch, 1])")
    assert (served.name, served.versions, served.max_batch_size) == ("m", ("1", "2"), 8)
    assert not served.signature.decoupled


def test_a_server_without_configurations_is_taken_at_its_metadata():
    assert str(read_served_model(METADATA, {}).signature) == "(x: FP32[_, 20], t: BYTES[_, _]) -> (y: INT64[_, 1])"


def test_what_the_protocol_lets_a_server_leave_out_may_be_null():
    served = read_served_model({**METADATA, "versions": None, "platform": None}, {})
    assert (served.versions, served.platform) == ((), "")


def test_a_decoupled_model_is_known_as_one():
    assert read_served_model(METADATA, {"model_transaction_policy": {"decoupled": True}}).signature.decoupled


@pytest.mark.parametrize(
    "metadata",
    [{}, {"name": "m"}, {"name": "m", "inputs": 5, "outputs": []}, {"name": "m", "inputs": [{}], "outputs": []}],
)
def test_what_is_no_metadata_raises_one_of_the_errors_that_are_caught(metadata):
    with pytest.raises((ValueError, LookupError, TypeError, AttributeError)):
        read_served_model(metadata, {})
