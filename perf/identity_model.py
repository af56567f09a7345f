"""A Python model that returns its input: what costs the server the least, so that the client's own cost shows."""

from __future__ import annotations

from pathlib import Path

__all__ = ["MODEL", "write_identity"]

MODEL = "identity"

_SOURCE = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor("y", request.inputs()[0].as_numpy())]) for request in requests
        ]
"""


def write_identity(repository: Path, columns: int) -> None:
    """Write the model `identity`, FP32[batch, columns] `x` → `y`, 64 rows at most; -1 columns: any number."""
    version = repository / MODEL / "1"
    version.mkdir(parents=True)
    (version / "model.py").write_text(_SOURCE)
    tensor = f"data_type: TYPE_FP32 dims: [{columns}]"
    (version.parent / "config.pbtxt").write_text(
        f'name: "{MODEL}" backend: "python" max_batch_size: 64\n'
        f'input {{ name: "x" {tensor} }}\noutput {{ name: "y" {tensor} }}\n'
    )
