"""What runs inside Triton's Python backend: from Triton's requests to a call of the user's Python, and back.

NumPy alone is needed. Imports are relative, because a model's version folder holds a copy that Triton imports as
`<version>.tritonforge_runtime`; the embedded server's backends import the same code as `tritonforge_runtime`.
"""

from __future__ import annotations

import sys

# Compiled files in a model's folder look like a change to a server that polls its repository, and it reloads.
sys.dont_write_bytecode = True

from .cores import leave_while_waiting  # noqa: E402 - the line above comes first

leave_while_waiting()

from .dimensions import NamedDim  # noqa: E402
from .errors import InvalidResult, LoadError, TritonError  # noqa: E402
from .implicit import with_controls, with_states  # noqa: E402
from .model import Loaded, PythonModel, ServedModel  # noqa: E402
from .onnx_options import session_options  # noqa: E402
from .padding import PaddedDim  # noqa: E402
from .parameters import Parameters  # noqa: E402
from .parts import PartSpec  # noqa: E402
from .ragged import Ragged, parse_ragged  # noqa: E402
from .spec import ModelSpec, TensorSpec  # noqa: E402

__all__ = [
    "InvalidResult",
    "LoadError",
    "Loaded",
    "ModelSpec",
    "NamedDim",
    "PaddedDim",
    "Parameters",
    "PartSpec",
    "PythonModel",
    "Ragged",
    "ServedModel",
    "TensorSpec",
    "TritonError",
    "parse_ragged",
    "session_options",
    "with_controls",
    "with_states",
]
