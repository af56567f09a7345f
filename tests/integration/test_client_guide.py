"""Every snippet of the client's guide, run as it stands against a real Triton."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from tls_files import Files
from type_checks import mypy_errors

from tritonforge.build import build
from tritonforge.client.stubs import generate, read_repository
from tritonforge.server import Server

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guides" / "client.md"
KEY = "the-key-of-the-guides-server"
TYPED = """
from typing import Any, Generator
from typing_extensions import assert_type
from shop import Offer, count, offer
from tritonforge.client import Client, Result

def typed(client: Client, x: Any) -> None:
    assert_type(client.call(offer, x, x), Offer)
    assert_type(client.infer("offer", amount=x), Result)
    assert_type(client.stream("count", upto=x), Generator[Result, None, None])
    assert_type(client.map(offer, [x]).merge(), Offer)
    assert_type(next(client.map("offer", x)), Result)
    with client.sequence(offer) as steps:
        assert_type(steps.infer(x, x, end=True), Offer)
    assert_type(client.sequence("offer").infer(amount=x), Result)
    for number in client.stream(count, x):
        number.item()
        number.nothing
"""


def snippets() -> list[str]:
    """Give the definitions, and then the calls as they come."""
    found = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return sorted(found, key=lambda snippet: not snippet.startswith("# shop.py\n"))


def test_the_guide_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    definitions, *calls = snippets()
    assert definitions.startswith("# shop.py\n")
    (tmp_path / "shop.py").write_text(definitions, encoding="utf-8")
    build((tmp_path / "shop.py",), tmp_path / "repository")
    (tmp_path / "models.py").write_text(generate(read_repository(tmp_path / "repository")), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for made in ("shop", "models"):
        monkeypatch.delitem(sys.modules, made, raising=False)
    names: dict[str, object] = {"__name__": "guide"}
    monkeypatch.setenv("TRITON_KEY", KEY)
    ports = {"http_port": 0, "grpc_port": 0, "metrics_port": 0}
    settings = {**ports, "exit_timeout_s": 0, "model_control": "explicit"}  # as `up` has it
    files = Files(tmp_path)
    certificate, key = files.server
    tls = {"grpc_tls_cert": certificate, "grpc_tls_key": key, "grpc_tls_root": files.ca}
    monkeypatch.chdir(tmp_path)
    with (
        Server.embedded(tmp_path / "repository", restricted_key=KEY, **settings) as server,
        Server.embedded(tmp_path / "repository", **settings, **tls) as secure,
    ):
        urls = {
            "http://127.0.0.1:8000": server.http_url,
            "grpc://127.0.0.1:8001": server.grpc_url,
            "grpcs://127.0.0.1:8443": secure.grpc_url,
        }
        for call in calls:
            ready = re.sub("|".join(map(re.escape, urls)), lambda found: urls[found[0]], call)
            exec(compile(ready, str(GUIDE), "exec"), names)
    assert len(calls) > 7


def test_type_checkers_see_the_definitions_types(tmp_path: Path) -> None:
    definitions, *calls = snippets()
    (tmp_path / "shop.py").write_text(definitions, encoding="utf-8")
    build((tmp_path / "shop.py",), tmp_path / "repository")
    models = generate(read_repository(tmp_path / "repository"))
    texts = {"shop.py": definitions, "models.py": models, "guide.py": "\n".join(calls), "typed.py": TYPED}
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = mypy_errors(tmp_path, *texts)
    errors = [line for line in found if "[type-arg]" not in line]  # a bare np.ndarray
    assert len(errors) == 1, found
    assert errors[0].startswith("typed.py:18: ")
    assert '"nothing"' in errors[0]
