"""What a build warns of in the labels of an output."""

from __future__ import annotations

import pytest
from projects import Project, scale

HEAD = "import numpy as np\nfrom jaxtyping import Float32\nfrom tritonforge import Tensor, model\n"
SOURCE = HEAD + scale().replace("@model", '@model(tensors={"output": Tensor(labels=LABELS)})')
WARNING = (
    "warning: serving.py:5 scale, output[0].label_filename: output_labels.txt has 2 labels, "
    'and the output "output" 4 values a row\n  hint: one label a line, for each value  [TF626]'
)


@pytest.mark.parametrize("labels", [("a", "b"), ("a", "b", "c", "d")])
def test_labels_that_are_not_as_many_as_values_are_warned_of(project: Project, labels: tuple[str, ...]) -> None:
    project.write({"serving.py": SOURCE.replace("LABELS", repr(labels))})
    found = project.build().warnings
    assert [str(one) for one in found] == ([] if len(labels) == 4 else [WARNING])
