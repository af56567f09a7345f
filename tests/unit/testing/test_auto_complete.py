"""Models written by hand that have no config.pbtxt, in `tritonforge.testing`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tritonforge.testing import ModelError, load_model

COMPLETED = """
import json
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        config.add_input({"name": "x", "data_type": "TYPE_INT64", "dims": [2]})
        config.add_input({"name": "x", "data_type": "TYPE_INT64", "dims": [2]})
        config.add_output({"name": "y", "data_type": "TYPE_INT64", "dims": [2]})
        config.set_max_batch_size(8)
        config.set_dynamic_batching()
        config.set_model_transaction_policy({"decoupled": False})
        assert config.as_dict()["max_batch_size"] == 8
        return config

    def initialize(self, args):
        self.config = json.loads(args["model_config"])

    def execute(self, requests):
        assert self.config["max_batch_size"] == 8 and "dynamic_batching" in self.config
        given = [pb_utils.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", x + 1)]) for x in given]
"""


def test_a_model_without_a_configuration_says_itself_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "auto" / "1").mkdir(parents=True)
    file = tmp_path / "auto" / "1" / "model.py"
    file.write_text(COMPLETED)
    with load_model(tmp_path / "auto") as model:
        assert model.infer(x=np.ones((3, 2), np.int64))["y"].tolist() == [[2, 2]] * 3
        with pytest.raises(ModelError, match="8"):
            model.infer(x=np.ones((9, 2), np.int64))
    for line, words in (
        ('config.add_input({"name": "z"})', "an input needs data_type, dims"),
        ('config.add_output({"name": "y", "data_type": "TYPE_FP32", "dims": [2]})', "the output y is added twice"),
        ('config.add_output({"name": "z", "data_type": "FP32", "dims": [2]})', "FP32"),
        ('config.set_model_transaction_policy({"decoupld": True})', "has no decoupld"),
    ):
        file.write_text(COMPLETED.replace("        return config\n", f"        {line}\n        return config\n"))
        with pytest.raises(ValueError, match=words), load_model(tmp_path / "auto"):
            pass
    file.write_text(COMPLETED.replace("return config", "return None"))
    with pytest.raises(TypeError, match="gave a NoneType"), load_model(tmp_path / "auto"):
        pass


def test_a_model_without_a_configuration_that_says_nothing_is_told_so(tmp_path: Path) -> None:
    for name, file in (("hand", "model.py"), ("net", "model.onnx"), ("empty", "")):
        (tmp_path / name / "1").mkdir(parents=True)
        (tmp_path / name / "1" / (file or "other")).write_text("class TritonPythonModel: pass")
    with (
        pytest.raises(FileNotFoundError, match=r"config\.pbtxt; write one, or auto_comp"),
        load_model(tmp_path / "hand"),
    ):
        pass
    with pytest.raises(ValueError, match=r"net is a model of model\.onnx: only Python"), load_model(tmp_path / "net"):
        pass
    with pytest.raises(FileNotFoundError, match=r"model\.py is missing"), load_model(tmp_path / "empty"):
        pass
