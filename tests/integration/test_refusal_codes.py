"""What a model's own `TritonError` becomes at the client, as the client's guide has it in a table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from tritonforge.build import build
from tritonforge.client import Client, ClientError
from tritonforge.define.served_errors import Code
from tritonforge.server import Server

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "client.md"
ROW = re.compile(
    r"^\| ([A-Z_, ]+) \| `(\w+)`, `\"(\w+)\"` \| `(\w+)`, (?:`\"(\w+)\"`|with the code's own name) \|$", re.MULTILINE
)
SERVING = """
import numpy as np

from tritonforge import String, TritonError, model


@model
def refuse(code: String[np.ndarray, "1"]) -> String[np.ndarray, "1"]:
    raise TritonError("no", code=code[0])
"""


def test_each_code_becomes_what_the_guide_says(tmp_path: Path) -> None:
    rows = ROW.findall(GUIDE.read_text(encoding="utf-8"))
    wanted = {
        code: ((over_http, status), (over_grpc, name or code))
        for codes, over_http, status, over_grpc, name in rows
        for code in codes.split(", ")
    }
    assert wanted.keys() == set(get_args(Code))
    (tmp_path / "serving.py").write_text(SERVING, encoding="utf-8")
    build([tmp_path / "serving.py"], tmp_path / "repository")
    with (
        Server.embedded(tmp_path / "repository", http_port=0, grpc_port=0, metrics_port=0) as server,
        Client(server.http_url) as http,
        Client(server.grpc_url) as grpc,
    ):
        assert {code: (refused(http, code), refused(grpc, code)) for code in wanted} == wanted


def refused(client: Client, code: str) -> tuple[str, str]:
    """Give the class and the code of the error that a refusal becomes."""
    with pytest.raises(ClientError) as raised:
        client.infer("refuse", code=np.array([code], dtype=object))
    return type(raised.value).__name__, raised.value.code
