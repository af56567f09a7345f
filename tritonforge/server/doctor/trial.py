"""The proof: a real server with one small Python model, started, asked and stopped."""

from __future__ import annotations

import json
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from tritonforge.errors import Diagnostic, DiagnosticError, Where
from tritonforge.server.doctor.examine import Checkup
from tritonforge.server.errors import ServerError
from tritonforge.server.protocol import Server
from tritonforge.server.settings.server import ServerSettings
from tritonforge.server.settings.writable import needing_room

__all__ = ["try_server"]

_NAME = "server"
_CONFIG = """\
backend: "python"
max_batch_size: 0
input [{ name: "x" data_type: TYPE_FP32 dims: [2] }]
output [{ name: "y" data_type: TYPE_FP32 dims: [2] }]
"""
_MODEL = """\
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        arrays = [pb_utils.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", 2 * array)]) for array in arrays]
"""
_SENT, _WANTED = [1.5, -3.0], [3.0, -6.0]
_TIMEOUT_S = 60.0


def try_server() -> Checkup:
    """Serve a model that doubles two numbers, on free ports, and see whether it does."""
    started = time.monotonic()
    try:
        answer, version = _serve()
    except DiagnosticError as error:
        return Checkup(_NAME, "error", "doesn't work", error.diagnostics)
    except (ServerError, OSError) as error:
        return _failed(str(error))
    if answer != _WANTED:
        return _failed(f"a model that doubles {_SENT} gave {answer}")
    seconds = time.monotonic() - started
    return Checkup(_NAME, "ok", f"Triton {version} started, ran a Python model and stopped, in {seconds:.1f} s")


def _serve() -> tuple[list[float], str]:
    """Start the server on the model, ask it, and give its answer and the server's version."""
    settings = ServerSettings(http_port=0, grpc_port=0, metrics_port=0, ready_timeout_s=_TIMEOUT_S, exit_timeout_s=1)
    temporary = Path(tempfile.gettempdir())
    with needing_room(temporary), tempfile.TemporaryDirectory(prefix="tritonforge-doctor-") as folder:
        model = Path(folder) / "double" / "1" / "model.py"
        model.parent.mkdir(parents=True)
        model.write_text(_MODEL)
        (model.parents[1] / "config.pbtxt").write_text(_CONFIG)
        with Server.embedded(folder, settings) as server:
            body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": _SENT}]}
            answer = _ask(f"{server.http_url}/v2/models/double/infer", json.dumps(body).encode())
            return answer["outputs"][0]["data"], _ask(f"{server.http_url}/v2")["version"]


def _ask(url: str, body: bytes | None = None) -> dict[str, Any]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, body, timeout=_TIMEOUT_S) as answer:
        loaded: dict[str, Any] = json.load(answer)
        return loaded


def _failed(reason: str) -> Checkup:
    hint = "see the server's words above; `tritonforge up --verbose` shows its whole log"
    return Checkup(_NAME, "error", "doesn't work", (Diagnostic("TF546", Where(), reason, hint),))
