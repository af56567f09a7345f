"""Options of commands that are about containers, as far as they need no Docker."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tritonforge.cli import app

TENSORS = 'input { name: "x" data_type: TYPE_FP32 dims: [ 1 ] } output { name: "y" data_type: TYPE_FP32 dims: [ 1 ] }'
CONFIG = f'backend: "python" {TENSORS}'


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of one model."""
    (tmp_path / "models" / "echo" / "1").mkdir(parents=True)
    (tmp_path / "models" / "echo" / "config.pbtxt").write_text(CONFIG)
    return tmp_path / "models"


def test_a_containers_options_need_a_container(repository: Path) -> None:
    result = CliRunner().invoke(app, ["up", str(repository), "--image", "fraud:1"])
    assert result.exit_code == 2
    assert "add --runtime docker" in " ".join(result.output.split())


def test_an_unknown_setting_of_a_container_is_told(repository: Path) -> None:
    options = ["--runtime", "docker", "--docker", "ram=2g", "--docker", "memry=2g"]
    result = CliRunner().invoke(app, ["up", str(repository), *options])
    assert "ram: there is no such setting\n  hint: the settings are image, gpus, shm_size" in str(result.exception)
    assert "memry: there is no such setting\n  hint: did you mean memory?" in str(result.exception)


def test_a_setting_of_a_container_is_a_pair(repository: Path) -> None:
    result = CliRunner().invoke(app, ["up", str(repository), "--runtime", "docker", "--docker", "memory"])
    assert result.exit_code == 2
    assert "found memory; write SETTING=VALUE" in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--gpus", ""], "--gpus: it is empty; leave it out"),
        (["--image", ""], "--image: it is empty; leave it out"),
        (
            ["--docker", "memory=1g", "--docker", "memory=2g"],
            "--docker memory: it is given twice; leave one of them out",
        ),
        (["--docker", "memory="], "--docker memory: it is empty; leave it out"),
        (["--tritonserver", "/opt/tritonserver"], "--tritonserver: a container has the server of its image"),
    ],
)
def test_what_is_empty_or_goes_with_no_container_is_refused(repository: Path, options: list[str], words: str) -> None:
    """A script's variable may be empty: it then asked for GPUs, and got none."""
    result = CliRunner().invoke(app, ["up", str(repository), "--runtime", "docker", *options])
    assert result.exit_code == 2
    assert words in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        *(
            ([option, ""], "it is empty; leave it out if none is meant")
            for option in ("--base", "--output", "--python", "--release", "--compose")
        ),
        (["--tag", ""], "'--tag' / '-t': it is empty; leave it out if none is meant"),
        (["--pip-arg="], "'--pip-arg': it is empty; leave it out if none is meant"),
        (["--tag", "Bad Tag"], "--tag: found 'Bad Tag': an image's name is lowercase"),
        (["--release", "25.01"], "--release: it is of NVIDIA's images, and a slim one has 24.10: add --nvidia"),
        (["--nvidia", "--release", "foo"], "--release: foo is no release; releases are YY.MM"),
        (["--nvidia", "--release", "99.99"], "--release: 99.99 is no release"),
    ],
)
def test_what_no_image_can_be_is_refused_before_docker_is_asked(
    repository: Path, options: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    result = CliRunner().invoke(app, ["image", str(repository), *options])
    assert result.exit_code == 2
    assert words in " ".join(result.output.replace("│", " ").split())


def test_no_daemon_is_told_before_packages_are_fetched(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    result = CliRunner().invoke(app, ["image", str(repository)])
    assert "no Docker daemon answers" in str(result.exception)


def test_a_folder_that_is_no_repository_gets_no_image(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    result = CliRunner().invoke(app, ["image", str(tmp_path / "models"), "--output", str(tmp_path / "context")])
    assert "holds no model" in str(result.exception)
    assert not (tmp_path / "context").exists()
