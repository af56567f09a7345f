"""What `up` says, before it starts, of code that no build of this project wrote."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tritonforge.build import Project
from tritonforge.cli.served_repository import choose, warn_of_edits, warn_of_foreign_code
from tritonforge.server import PreflightError, ServerSettings
from tritonforge.server.preflight import preflight

BUILT = {"version": 1, "kind": "python", "signature": {"batched": True, "inputs": [], "outputs": []}}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of two Python models and an ONNX graph."""
    for model, file in (("ours", "model.py"), ("added", "model.py"), ("graph", "model.onnx")):
        (tmp_path / model / "1").mkdir(parents=True)
        (tmp_path / model / "1" / file).touch()
    return tmp_path


def write_manifest(repository: Path, *models: str, schema: int = 1) -> None:
    content = {"schema": schema, "models": dict.fromkeys(models, BUILT)}
    (repository / "tritonforge.json").write_text(json.dumps(content))


def said(repository: Path, capsys: pytest.CaptureFixture[str]) -> str:
    warn_of_foreign_code(repository)
    return capsys.readouterr().err


def test_the_python_models_of_a_repository_from_elsewhere_are_named(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    warning = f"{repository} was not built by tritonforge; Python code of its models runs as you: added, ours\n"
    assert said(repository, capsys) == warning


def test_a_model_that_was_added_to_a_built_repository_is_named(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_manifest(repository, "ours", "graph")
    words = f"tritonforge.json doesn't know some models of {repository}; Python code of its models runs as you: added\n"
    assert said(repository, capsys) == words
    write_manifest(repository, "ours", "graph", "added")
    assert said(repository, capsys) == ""


def test_a_manifest_that_is_none_stops_the_start_and_nothing_is_said_of_models(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """None of their code runs then."""
    write_manifest(repository, "ours", "added", schema=99)
    assert said(repository, capsys) == ""
    with pytest.raises(PreflightError, match="TF512"):
        preflight(repository, ServerSettings(http_port=0, grpc_port=0, metrics_port=0))


def test_a_link_that_leads_nowhere_is_named(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "gone").symlink_to(repository / "nowhere")
    warn_of_edits(repository)
    assert capsys.readouterr().err == f"warning: {repository / 'gone'}: the link leads nowhere; it is left out\n"


def test_a_link_to_a_folder_that_it_lies_in_is_named(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a model; what is none is left out."""
    (repository / "ours" / "1" / "all").symlink_to("..")
    (repository / "notes").mkdir()
    (repository / "notes" / "all").symlink_to("..")
    warn_of_edits(repository)
    words = f"the link leads to a folder that it lies in, {repository.resolve() / 'ours'}"
    assert capsys.readouterr().err == (
        f"warning: {repository / 'ours' / '1' / 'all'}: {words}, and Triton may follow it without end; remove it\n"
    )


def test_a_built_model_whose_files_are_others_is_named_once(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A manifest that is none is told later, when it stops the start."""
    entry = BUILT | {"files": {"1/model.py": hashlib.sha256(b"").hexdigest()}}
    (repository / "tritonforge.json").write_text(json.dumps({"schema": 1, "models": {"ours": entry, "added": entry}}))
    warn_of_edits(repository)
    assert capsys.readouterr().err == ""
    (repository / "ours" / "1" / "model.py").write_text("import os")
    warn_of_edits(repository)
    words = capsys.readouterr().err
    assert words.startswith(f"warning: {repository / 'ours'} ours: differs from what was built: 1/model.py\n  hint: ")
    assert words.count("[TF516]") == 1
    write_manifest(repository, "ours", schema=99)
    warn_of_edits(repository)
    assert capsys.readouterr().err == ""


def test_without_a_path_the_projects_repository_is_served_before_one_that_only_lies_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `build` writes it and `check` takes it."""
    monkeypatch.chdir(tmp_path)
    for folder in ("model_repository", "built"):
        (tmp_path / folder / "model" / "1").mkdir(parents=True)
    assert choose(None, Project(root=tmp_path, output=Path("built"))).repository == Path("built")
    assert choose(None, Project(root=tmp_path, output=Path("unbuilt"))).repository == Path("model_repository")
