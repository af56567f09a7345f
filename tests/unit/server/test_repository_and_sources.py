"""What a folder is, and the way from a repository's files back to the user's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tritonforge.repository_files import stub_safe
from tritonforge.server.diagnosis.sources import Sources, read_sources
from tritonforge.server.repository.folder import is_model, is_repository, model_folders


def test_tells_repositories_from_other_folders(tmp_path: Path) -> None:
    """A manifest makes one, and so does a folder in it that is a model."""
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "tritonforge.json").touch()
    (tmp_path / "theirs" / "by_config").mkdir(parents=True)
    (tmp_path / "theirs" / "by_config" / "config.pbtxt").touch()
    (tmp_path / "theirs" / "by_version" / "12").mkdir(parents=True)
    (tmp_path / "theirs" / "docs").mkdir()
    (tmp_path / "theirs" / "README").touch()
    assert is_repository(tmp_path / "ours")
    assert is_repository(tmp_path / "theirs")
    assert [folder.name for folder in model_folders(tmp_path / "theirs")] == ["by_config", "by_version"]
    assert not is_repository(tmp_path / "theirs" / "by_config")
    assert is_model(tmp_path / "theirs" / "by_config")
    assert not is_repository(tmp_path)
    assert not is_repository(tmp_path / "nowhere")
    assert model_folders(tmp_path / "nowhere") == []


def test_knows_which_paths_a_stub_can_be_started_with() -> None:
    """Triton 24.10 writes them into a shell's line without quotes, for a Python that has the locale C."""
    assert stub_safe("/srv/models/e_1-2.x")
    assert not any(stub_safe(path) for path in ("/a b", "/a'b", "/$a", "/a\n", "/é", ""))


def test_maps_by_the_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the project's file if it is there, else to its name; generated files are nobody's."""
    repository, project = tmp_path / "built" / "models", tmp_path / "project"
    repository.mkdir(parents=True)
    project.mkdir()
    (project / "fraud.py").touch()
    sources = {"1/source/fraud.py": "fraud.py", "1/source/lib/gone.py": "lib/gone.py"}
    entry = {"version": 1, "kind": "python", "signature": {"batched": True}, "sources": sources}
    (repository / "tritonforge.json").write_text(json.dumps({"schema": 1, "models": {"fraud": entry}}))
    monkeypatch.chdir(tmp_path)
    served = Path("/served")
    found = read_sources(repository, served=served, projects=[project])
    assert found.original("/served/fraud/1/source/fraud.py", "fraud") == str(project / "fraud.py")
    assert found.original(f"{repository}/fraud/1/source/fraud.py", "fraud") == str(project / "fraud.py")
    assert found.original("/served/fraud/1/source/lib/gone.py", "fraud") == "lib/gone.py"
    assert found.original("/served/fraud/2/source/fraud.py", "fraud") == str(project / "fraud.py"), "of a later version"
    assert found.original("/served/fraud/1/model.py", "fraud") == ""
    assert found.original("/served/fraud/2/model.py", "fraud") == ""
    assert found.original("/served/fraud/source/fraud.py", "fraud") == ""
    assert found.original("/usr/lib/python3/json.py", "fraud") == ""
    assert found.named("gone.py", "fraud") == "lib/gone.py"
    assert found.named("model.py", "fraud") == ""


@pytest.mark.parametrize("known", [True, False])
def test_a_bare_name_is_that_of_its_version_if_there_are_several(known: bool, tmp_path: Path) -> None:
    for version in "12":
        (tmp_path / "m" / version / "source").mkdir(parents=True)
        (tmp_path / "m" / version / "source" / "model.py").touch()
        (tmp_path / f"{version}.py").touch()
    models = {"m": {f"{version}/source/model.py": f"{version}.py" for version in "12"}}
    found = Sources(tmp_path, tmp_path, models if known else {}, (tmp_path,))
    for version in "12":
        file = f"{version}.py" if known else f"m/{version}/source/model.py"
        assert found.named("model.py", "m", version=version) == str(tmp_path / file)
    assert found.named("model.py", "m", version="3") == found.named("model.py", "m", version="1")


@pytest.mark.parametrize("manifest", [None, "{", "[]", '{"models": []}', '{"models": {"m": 3}}'])
def test_without_a_manifest_a_file_stands_for_itself(manifest: str | None, tmp_path: Path) -> None:
    """One that can't be read is none."""
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "1" / "model.py").touch()
    if manifest is not None:
        (tmp_path / "tritonforge.json").write_text(manifest)
    found = read_sources(tmp_path)
    model = str(tmp_path / "m" / "1" / "model.py")
    assert found.original(model, "m") == model
    assert found.named("model.py", "m") == model
    assert found.original(model, "other") == ""
