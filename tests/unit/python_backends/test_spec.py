"""Reading a model's configuration."""

from __future__ import annotations

import stub_utils
from tritonforge_runtime.spec import TensorSpec, parse_spec


def test_a_reshape_says_what_the_model_sees() -> None:
    reshaped = stub_utils.tensor("label", "INT64", [1], reshape={"shape": []})
    args = stub_utils.arguments([stub_utils.tensor("title", "BYTES", [-1, 3], optional=True)], [reshaped])

    spec = parse_spec(args["model_config"])

    assert spec.inputs == (TensorSpec("title", "BYTES", (-1, 3), optional=True),)
    assert spec.outputs == (TensorSpec("label", "INT64", ()),)
    assert spec.batched
    assert not spec.decoupled


def test_a_tensor_is_spelled_as_people_read_it() -> None:
    assert TensorSpec("x", "FP32", (-1, 20)).describe(batched=True) == "FP32[batch, ?, 20]"
