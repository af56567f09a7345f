"""Models with Python environments of their own, on the embedded server: two versions of a package side by side."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from repositories import FREE_PORTS

from tritonforge.build import build
from tritonforge.client import Client
from tritonforge.server import Server


def test_two_versions_of_a_package_serve_side_by_side(versions: Path, tmp_path: Path) -> None:
    report = build([versions], tmp_path / "models")
    assert {model.name for model in report.models} == {"old", "new"}
    with (
        Server.embedded(tmp_path / "models", exit_timeout_s=0, **FREE_PORTS) as server,
        Client(server.http_url) as client,
    ):
        answers = [client.infer(model, x=np.ones((1, 1), np.float32))["output"][0, 0] for model in ("old", "new")]
    assert answers == [1.0, 2.0]
    assert not list((tmp_path / "models").rglob("__pycache__"))


def test_other_requirements_are_another_version(versions: Path, tmp_path: Path) -> None:
    project = shutil.copytree(versions.parent, tmp_path / "project")
    build([project / "serving.py"], tmp_path / "models")
    requirements = project / "old.txt"
    requirements.write_text(requirements.read_text().replace("==1.0", "==2.0"))
    report = build([project / "serving.py"], tmp_path / "models")
    assert {model.name: (model.version, model.change) for model in report.models} == {
        "old": (2, "changed"),
        "new": (1, "unchanged"),
    }
