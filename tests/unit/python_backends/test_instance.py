"""What a class that is a model is told of its instance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import stub_utils
from stub_utils import InferenceRequest, outputs, tensor
from tritonforge_runtime.instance import Instance, make

SOURCE = """
{header}

@model
class Predict:
    def __init__(self, own: {annotation}, factor: int = 3):
        self.own = own

    def __call__(self, x):
        return x * int(self.own.parameters["times"]) + self.own.version
"""


@pytest.mark.parametrize(
    ("header", "annotation"),
    [
        ("from tritonforge import Instance, model", "Instance"),
        ("from tritonforge import Instance, model", '"Instance"'),
        ("from __future__ import annotations\nimport tritonforge as tf\nfrom tritonforge import model", "tf.Instance"),
        ("from tritonforge import model", '"tritonforge.Instance"'),
    ],
)
def test_the_parameter_is_found_by_its_annotation(serve: Callable[..., Any], header: str, annotation: str) -> None:
    args = stub_utils.arguments(
        [tensor("x", "FP32", [2])], [tensor("y", "FP32", [2])], parameters={"times": {"string_value": "4"}}
    )
    model = serve(SOURCE.format(header=header, annotation=annotation), args, attribute="Predict")

    (response,) = model.execute([InferenceRequest(x=np.ones((1, 2), np.float32))])

    assert outputs(response)["y"].tolist() == [[5, 5]]


def test_a_class_that_asks_for_nothing_is_told_nothing() -> None:
    class Plain:
        pass

    class Kind(Exception):
        def __init__(self, factor: int = 1, other: Unknown | None = None) -> None:  # type: ignore[name-defined]
            self.factor = factor

    assert isinstance(make(Plain), Plain)
    assert make(Kind).factor == 1


def test_an_instance_is_frozen() -> None:
    with pytest.raises(AttributeError):
        Instance("CPU", 0, "a_0", "a", 1).kind = "GPU"  # type: ignore[misc]
