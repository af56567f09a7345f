"""The backend `onnxruntime` of a server that has no native one: `model.onnx`, with the same config.pbtxt.

Triton imports this file as the top-level module `model`, with its folder, a link to the runtime in it, on `sys.path`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx_config
import onnx_session
import triton_python_backend_utils as pb_utils
from tritonforge_runtime import Loaded, ModelSpec, ServedModel


class TritonPythonModel(ServedModel):
    """A model that ONNX Runtime runs."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """Complete what config.pbtxt leaves out, as the native backend does."""
        fields = config.as_dict()
        if not (fields["input"] and fields["output"]):
            onnx_config.complete(fields, onnx_session.open_for_completion(pb_utils.get_model_dir(), fields))
        return config

    def load(self, spec: ModelSpec, args: Mapping[str, str]) -> Loaded:
        """Open the session and check the configuration against its graph."""
        return onnx_session.load(spec, args)
