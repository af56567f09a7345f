"""`tritonforge image` where it is misused."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from docker.errors import ImageNotFound
from typer.testing import CliRunner

from tritonforge.cli import app


def test_a_folder_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    """It may hold changes to an earlier output; what is none is not to be removed, either."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "Dockerfile").write_text("changed by hand")
    said = refusal(str(tmp_path / "models"), "--output", str(tmp_path / "out"))
    assert "is there already; name a new folder" in said
    assert "rm -r" not in said
    (tmp_path / "out" / "requirements.lock").touch()
    (tmp_path / "out" / "wheels").mkdir()
    said = refusal(str(tmp_path / "models"), "--output", str(tmp_path / "out"))
    assert "is there already; name a new folder, or remove it first: rm -r" in said
    assert (tmp_path / "out" / "Dockerfile").read_text() == "changed by hand"


@pytest.mark.parametrize("inside", ["models", "models/image", "models/a/b", "other/../models/image"])
def test_an_output_does_not_come_into_the_repository(tmp_path: Path, inside: str) -> None:
    """Triton would take its folder for a model."""
    (tmp_path / "models").mkdir()
    said = refusal(str(tmp_path / "models"), "--output", str(tmp_path / inside))
    assert "which it would break; name a folder beside it" in said
    assert list((tmp_path / "models").iterdir()) == []


def refusal(*arguments: str) -> str:
    """What a refused command says, in one line."""
    refused = CliRunner().invoke(app, ["image", *arguments])
    assert refused.exit_code == 2
    return " ".join(refused.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("name", "words"),
    [("file", "--compose: .*file is no folder"), (".", r"--compose: .*compose\.yaml isn't as it was written")],
)
def test_a_folder_that_can_have_no_compose_file_is_told_first(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "compose.yaml").write_text("services: {}")
    output = tmp_path / "out"
    said = refusal(str(tmp_path / "models"), "--output", str(output), "--compose", str(tmp_path / name))
    assert re.search(words, said)
    assert not output.exists()
    assert (tmp_path / "compose.yaml").read_text() == "services: {}"


def test_there_is_no_compose_file_for_what_is_no_repository(tmp_path: Path) -> None:
    options = ["--no-bake", "--compose", str(tmp_path / "compose"), "--output", str(tmp_path / "out")]
    refused = CliRunner().invoke(app, ["image", str(tmp_path / "models"), *options])
    assert "the model repository does not exist" in str(refused.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_whose_name_is_no_images_needs_a_tag(tmp_path: Path) -> None:
    said = refusal(str(tmp_path / "Meine Modelle"), "--output", str(tmp_path / "out"))
    assert "REPO: the image would be named after" in said
    assert "meine modelle:latest is no image's name: give one with --tag" in said


@pytest.mark.parametrize(
    ("python", "words"),
    [
        (
            "3.9",
            "--python: models run on CPython 3.10, 3.11 or 3.12, found '3.9'; name that of --base, or leave it out",
        ),
        ("3.12", "--python: debian:bookworm-slim has CPython 3.11, not 3.12; leave it out, or name another image"),
    ],
)
def test_a_python_that_the_image_cannot_have_is_refused_first(tmp_path: Path, python: str, words: str) -> None:
    said = refusal(str(tmp_path / "models"), "--output", str(tmp_path / "out"), "--python", python)
    assert words in said
    assert "packages for" not in said


def test_a_base_image_that_cannot_be_had_is_told_before_packages_are_got(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But after what is wrong with the repository: the base may be of many gigabytes."""
    monkeypatch.setattr("tritonforge.server.docker.client.connect", DaemonWithoutNetwork)
    refused = CliRunner().invoke(app, ["image", str(tmp_path / "models")])
    assert "the model repository does not exist" in str(refused.exception)
    model = tmp_path / "models" / "echo"
    (model / "1").mkdir(parents=True)
    (model / "1" / "model.py").touch()
    (model / "config.pbtxt").write_text('backend: "python"')
    refused = CliRunner().invoke(app, ["image", str(tmp_path / "models"), "--no-project-requirements"])
    assert "the base image debian:bookworm-slim: is not on this machine" in str(refused.exception)
    assert "packages for" not in refused.output


class DaemonWithoutNetwork:
    """A Docker daemon that has no image, and gets none."""

    def __init__(self) -> None:
        refused = [{"error": "no such host"}]
        self.api = SimpleNamespace(pull=lambda *_, **__: iter(refused))
        self.images = SimpleNamespace(get=self._get)

    def _get(self, name: str) -> None:
        raise ImageNotFound(name)


@pytest.mark.parametrize("name", ["weather.py", "."])
def test_definitions_are_to_be_built_first(tmp_path: Path, name: str) -> None:
    (tmp_path / "weather.py").write_text("")
    said = refusal(str(tmp_path / name), "--output", str(tmp_path.parent / "out"))
    assert f"build it first: tritonforge build {tmp_path / name}" in said
    (tmp_path / "models.zip").touch()
    assert "models.zip is a file; name a model repository" in refusal(str(tmp_path / "models.zip"))
