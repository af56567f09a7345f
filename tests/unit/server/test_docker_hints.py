"""What mends a model that doesn't load in a container."""

from __future__ import annotations

import pytest

from tritonforge.errors import Diagnostic, Where
from tritonforge.server import ModelLoadError
from tritonforge.server.diagnosis.hints import hint_for
from tritonforge.server.docker.hints import telling_of_image


def test_a_package_that_is_missing_goes_into_the_image() -> None:
    """Not into this machine's Python, which doesn't run the models; other hints stay."""
    texts = ["ModuleNotFoundError: No module named 'sklearn.svm'", "has no attribute 'TritonPythonModel'"]
    error = ModelLoadError([Diagnostic("TF520", Where(subject="m"), text, hint_for(text)) for text in texts])
    error.log = "all that was written"
    with pytest.raises(ModelLoadError) as retold, telling_of_image():
        raise error
    missing, other = retold.value.diagnostics
    assert missing.hint == (
        'the image lacks it: name it in requirements=["scikit-learn"], build, and make it anew: tritonforge image'
    )
    assert other == error.diagnostics[1]
    assert retold.value.log == "all that was written"
