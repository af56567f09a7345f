"""Run a model of a repository without a server: a faithful stand-in for what Triton's Python backend gives a model.py.

from tritonforge.testing import load_model

with load_model("model_repository/normalize") as model:
    assert model.infer(features=x)["output"].shape == x.shape
"""

from tritonforge.testing.loading import LoadedModel, ModelError, load_model

__all__ = ["LoadedModel", "ModelError", "load_model"]
