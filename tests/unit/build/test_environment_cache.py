"""Environments of models: what they are cached by, what they hold, and what can't be made."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from jinja2 import Template
from projects import Project, scale

from tritonforge.build import environment_cache
from tritonforge.build.environment_cache import UnbuildableEnvironment, environment_folder
from tritonforge.resources import model_templates


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_an_environment_is_made_once_for_the_same_requirements(tmp_path: Path) -> None:
    """Files that a requirements file includes count, too."""
    requirements, included = tmp_path / "requirements.txt", tmp_path / "base.txt"
    included.write_text("# nothing yet\n")
    requirements.write_text("-r base.txt\n")
    folder = environment_folder(requirements)
    assert environment_folder(requirements) == folder
    assert (folder / "site-packages" / "numpy").is_dir()
    assert f"CPython {sys.version_info.major}.{sys.version_info.minor}" in (folder / "bin" / "activate").read_text()
    included.write_text("# something else\n")
    assert environment_folder(requirements) != folder


@pytest.fixture
def activated(tmp_path: Path) -> Callable[[], list[str]]:
    """Activate an environment in several shells at once, as Triton does; give the stand-ins that their Python has."""
    template = Template((model_templates() / "activate.sh.j2").read_text())
    environment, scratch = tmp_path / "environment", tmp_path / "scratch"
    for folder in (environment / "bin", environment / "site-packages", scratch):
        folder.mkdir(parents=True)
    (environment / "site-packages" / "packaged.py").touch()
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    (environment / "bin" / "activate").write_text(template.render(python=python))
    program = f"source {environment / 'bin' / 'activate'} && exec python3 -c 'import packaged, sys; print(sys.prefix)'"
    leading = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    variables = {**os.environ, "TMPDIR": str(scratch), "PATH": leading}

    def activate_all() -> list[str]:
        shells = [
            subprocess.Popen(["bash", "-c", program], env=variables, stdout=subprocess.PIPE, text=True)
            for _ in range(4)
        ]
        return [shell.communicate(timeout=60)[0].strip() for shell in shells]

    return activate_all


def test_what_an_environment_makes_is_made_once(tmp_path: Path, activated: Callable[[], list[str]]) -> None:
    """In a container nobody removes it, however often a model is loaded."""
    (stand_in,) = {*activated(), *activated()}
    assert [str(path) for path in (tmp_path / "scratch").iterdir()] == [stand_in]


@pytest.mark.parametrize("trap", ["link", "half"])
def test_what_is_not_whole_is_not_taken(tmp_path: Path, activated: Callable[[], list[str]], trap: str) -> None:
    """Somebody else's may lie there, or one from which old files were removed."""
    (stand_in,) = {*activated()}
    (Path(stand_in) / "pyvenv.cfg").unlink()
    if trap == "link":
        Path(stand_in).rename(tmp_path / "scratch" / "another")
        Path(stand_in).symlink_to("another")
    assert stand_in not in activated()


def test_packages_that_pip_cant_find_are_told(tmp_path: Path, cache: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("--no-index\ntritonforge-no-such-package==1\n")
    with pytest.raises(UnbuildableEnvironment, match=r"pip can't install requirements\.txt: ERROR"):
        environment_folder(requirements)
    assert not list((cache / "tritonforge" / "environments").iterdir())


@pytest.mark.parametrize("cache_home", ["/proc/nope", "/dev/null"])
def test_a_cache_that_can_not_be_written_to_is_told_at_the_definition(
    project: Project, monkeypatch: pytest.MonkeyPatch, cache_home: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", cache_home)
    settings = '@model(environment="requirements.txt")'
    project.write({"requirements.txt": "", "serving.py": scale().replace("@model", settings)})
    place, hint = project.refused().rstrip().splitlines()
    made = f"its environment is made in {cache_home}/tritonforge/environments, which can't be written to: "
    assert place.startswith(f"serving.py:9 scale: {made}")
    assert "set XDG_CACHE_HOME to a folder that you can write to" in hint
    assert hint.endswith("[TF306]")


@pytest.mark.parametrize("where", ["cache", "pip"])
def test_a_full_disk_is_told_with_what_moves_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fail(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        if where == "cache":
            raise full
        return subprocess.CompletedProcess([], 1, "", f"ERROR: Could not install packages due to an OSError: {full}\n")

    monkeypatch.setattr("tritonforge.build.environment_cache.subprocess.run", fail)
    (tmp_path / "requirements.txt").touch()
    with pytest.raises(UnbuildableEnvironment, match=r"No space left on device") as refused:
        environment_folder(tmp_path / "requirements.txt")
    assert "XDG_CACHE_HOME" in refused.value.hint


def test_of_many_versions_the_newest_are_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "numpy-1.26.4-py3-none-any.whl", "w") as numpy:
        numpy.writestr("numpy-1.26.4.dist-info/METADATA", "Metadata-Version: 2.1\nName: numpy\nVersion: 1.26.4\n")
        numpy.writestr("numpy-1.26.4.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    for minor in range(40):
        (tmp_path / f"tritonforge_tiny-1.{minor}-py3-none-any.whl").touch()
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"--no-index\n--find-links {tmp_path}\ntritonforge-tiny==2\n")
    with pytest.raises(UnbuildableEnvironment) as refused:
        environment_folder(requirements)
    first, last = str(refused.value).splitlines()[:2]
    assert first.endswith("(from versions: …, 1.37, 1.38, 1.39)")
    assert last.strip().endswith("No matching distribution found for tritonforge-tiny==2")


def test_an_included_file_that_is_missing_is_told(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("-r base.txt\n")
    with pytest.raises(UnbuildableEnvironment, match=r"base\.txt can't be read"):
        environment_folder(requirements)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"requirements.txt": "six\n-r requirements.txt\n"}, "requirements.txt:2 includes requirements.txt, "),
        (
            {"requirements.txt": "-r more/b.txt\n", "more/b.txt": "-c ../requirements.txt"},
            "more/b.txt:1 includes ../requirements.txt, ",
        ),
    ],
)
def test_files_that_include_themselves_are_told(files: dict[str, str], words: str, project: Project) -> None:
    project.write({**files, "serving.py": scale().replace("@model", '@model(environment="requirements.txt")')})
    refused = project.refused()
    assert refused.startswith(f"serving.py:9 scale: {words}and so itself\n  hint: take that line out")
    assert refused.rstrip().endswith("[TF306]")


def test_a_file_may_be_included_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {"a": "-r b.txt\n-r c.txt\n", "b": "-r c.txt\n", "c": "# nothing\n"}.items():
        (tmp_path / f"{name}.txt").write_text(text)
    monkeypatch.setattr(environment_cache, "_make", lambda folder, requirements: folder.mkdir())
    assert environment_folder(tmp_path / "a.txt").is_dir()


def test_a_build_tells_what_pip_says_at_the_definition(project: Project) -> None:
    project.write(
        {
            "requirements.txt": "--no-index\ntritonforge-no-such-package==1\n",
            "serving.py": scale().replace("@model", '@model(environment="requirements.txt")'),
        }
    )
    refused = project.refused()
    assert refused.startswith("serving.py:9 scale: pip can't install requirements.txt: ")
    assert refused.rstrip().endswith("[TF306]")


def test_the_manifest_knows_environments_and_requirements(project: Project) -> None:
    settings = '@model(environment="requirements.txt", requirements=["pandas"])'
    project.write({"requirements.txt": "", "serving.py": scale().replace("@model", settings)})
    project.build()
    entry = json.loads((project.output / "tritonforge.json").read_text())["models"]["scale"]
    assert entry["environment"] == {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    assert entry["requirements"] == ["pandas"]
    assert "environment/bin/activate" in entry["files"]
    assert project.check() == ""
