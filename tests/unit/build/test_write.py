"""Writing: all of a repository or nothing of it, whatever ends the build."""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from projects import HEAD, Project, scale, strays, tree, until

from tritonforge.build import write as write_module
from tritonforge.build.write import write
from tritonforge.errors import DiagnosticError
from tritonforge.ir import File

MANY = (
    HEAD
    + """
def function(x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
    return x * {factor}

for index in range({count}):
    globals()[f"model_{{index}}"] = model(function)
"""
)

BUILD = """
import sys
from pathlib import Path
from tritonforge.build import build
print("ready", flush=True)
build([Path("serving.py")], Path("model_repository"))
"""


def start_build(project: Project) -> subprocess.Popen[str]:
    """Start a build in another process; it is past its imports when this returns."""
    process = subprocess.Popen(
        [sys.executable, "-c", BUILD],
        cwd=project.root,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def temporary(project: Project) -> list[str]:
    return [name for name in os.listdir(project.root) if name.startswith(".model_repository.")]


def begun(project: Project) -> int:
    """Count the models that a build has begun to write."""
    return sum(len(next(os.walk(project.root / folder), ((), (), ()))[1]) for folder in temporary(project))


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=20)
    assert process.stdout is not None
    process.stdout.close()


def in_the_middle(project: Project, process: subprocess.Popen[str]) -> bool:
    """Wait until the build has begun to write; give whether it is still at it."""
    until(lambda: bool(temporary(project)) or process.poll() is not None)
    return process.poll() is None


@pytest.mark.parametrize("seed", range(5))
def test_a_build_that_is_killed_leaves_the_old_repository_whole_and_nothing_beside_it(
    project: Project, seed: int
) -> None:
    """Killed at a random moment of a build of hundreds of models."""
    project.write({"serving.py": MANY.format(factor=2, count=20)})
    project.build()
    before = tree(project.output)
    project.write({"serving.py": MANY.format(factor=3, count=400)})
    process = start_build(project)
    wanted = random.Random(seed).randrange(0, 400)
    until(lambda: process.poll() is not None or begun(project) >= wanted)
    kill(process)
    if process.returncode == -signal.SIGKILL and tree(project.output) != before:
        assert len(project.versions()) == 400  # it was killed after the exchange: then the new one is whole
        assert project.check() == ""
    assert until(lambda: strays(project.root, ["serving.py", "model_repository"]) == []), os.listdir(project.root)


def test_a_build_that_is_killed_while_a_large_asset_is_copied(project: Project) -> None:
    project.write({"serving.py": scale()})
    project.build()
    before = tree(project.output)
    with (project.root / "large.bin").open("wb") as opened:
        opened.truncate(256 << 20)  # a file with holes: it takes no room, but time to be copied
    project.write({"serving.py": 'LARGE = asset("large.bin")\n' + scale()})
    process = start_build(project)
    assert in_the_middle(project, process)
    kill(process)
    assert tree(project.output) == before
    assert until(lambda: strays(project.root, ["serving.py", "large.bin", "model_repository"]) == [])


def test_a_first_build_that_is_killed_leaves_nothing(project: Project) -> None:
    project.write({"serving.py": MANY.format(factor=3, count=400)})
    process = start_build(project)
    running = in_the_middle(project, process)
    kill(process)
    allowed = ["serving.py"] if running and not project.output.exists() else ["serving.py", "model_repository"]
    assert until(lambda: strays(project.root, allowed) == [])


def test_an_interrupt_leaves_nothing_either(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write({"serving.py": scale()})
    project.build()
    before = tree(project.output)
    project.write({"serving.py": scale(factor=3)})

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(write_module, "_replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        project.build()
    assert tree(project.output) == before
    assert strays(project.root, ["serving.py", "model_repository"]) == []


def test_a_full_disk_leaves_the_old_repository_whole(project: Project) -> None:
    """A limit on the size of files stands for the disk: writing fails in the same place."""
    project.write({"serving.py": scale()})
    project.build()
    before = tree(project.output)
    project.write({"serving.py": 'LARGE = asset("large.bin")\n' + scale(), "large.bin": b"x" * (1 << 22)})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises((OSError, DiagnosticError), match=r"File too large|model_repository"):
            project.build()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert tree(project.output) == before
    assert strays(project.root, ["serving.py", "large.bin", "model_repository"]) == []


def test_of_a_full_disk_it_is_told_which_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is copied there may lie on another disk, and Python names that one."""

    def full(source: str, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source), None, str(target))

    monkeypatch.setattr("tritonforge.build.write.shutil.copyfile", full)
    output = tmp_path / "repository"
    with pytest.raises(OSError, match="No space left") as raised:
        write({"b/1/y": File("y", source=tmp_path / "large.npy")}, output)
    assert raised.value.filename == str(output)
    assert os.listdir(tmp_path) == []


def test_a_source_that_vanishes_leaves_the_old_repository_whole(tmp_path: Path) -> None:
    output = tmp_path / "repository"
    write({"a/1/x": File("x", content=b"old")}, output)
    with pytest.raises(FileNotFoundError):
        write({"a/1/x": File("x", content=b"new"), "b/1/y": File("y", source=tmp_path / "gone")}, output)
    assert tree(output) == {"a/1/x": b"old"}
    assert os.listdir(tmp_path) == ["repository"]


def test_a_wrong_definition_leaves_the_old_repository_whole(project: Project) -> None:
    project.write({"serving.py": scale()})
    project.build()
    before = tree(project.output)
    project.write({"serving.py": scale().replace("batch 4", "4 batch")})
    project.refused()
    assert tree(project.output) == before


def test_what_triton_refuses_leaves_the_old_repository_whole(project: Project) -> None:
    """The checker looks at what was written before it takes the old one's place."""
    project.write({"serving.py": scale()})
    project.build()
    before = tree(project.output)
    project.write({"serving.py": scale().replace("@model", '@model(metric_tags={"my team": "a"})')})
    assert project.refused().startswith('serving.py:9 scale, metric_tags["my team"]: ')
    assert tree(project.output) == before
    assert strays(project.root, ["serving.py", "model_repository"]) == []


@pytest.fixture(params=["exchange", "rename"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the kernel's exchange of two folders, and without it."""
    if request.param == "rename":
        monkeypatch.setattr(write_module, "_exchange", lambda *_: False)


@pytest.mark.usefixtures("kernel")
def test_the_old_folder_is_replaced_whole(tmp_path: Path) -> None:
    output = tmp_path / "deep" / "er" / "repository"
    write({"a/1/x": File("x", content=b"1"), "b/1/x": File("x", content=b"1")}, output)
    write({"a/2/x": File("x", content=b"2")}, output)
    assert tree(output) == {"a/2/x": b"2"}
    assert os.listdir(output.parent) == ["repository"]
    assert sorted(path.name for path in output.rglob("*")) == ["2", "a", "x"]


def test_a_place_without_folders_is_told_by_its_own_name() -> None:
    with pytest.raises(OSError, match=r"no folder can be made there: No such file or directory: '/proc/repository'$"):
        write({}, Path("/proc/repository"))


@pytest.mark.usefixtures("kernel")
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "disk" / "repository"
    real.mkdir(parents=True)
    link = tmp_path / "repository"
    link.symlink_to(real)
    for content in (b"1", b"2"):
        write({"a/1/x": File("x", content=content)}, link)
    assert link.is_symlink()
    assert tree(real) == {"a/1/x": b"2"}
    assert sorted(os.listdir(tmp_path)) == ["disk", "repository"]
    assert os.listdir(real.parent) == ["repository"]


def test_a_link_to_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    (tmp_path / "repository").symlink_to(tmp_path / "later")
    write({"x": File("x", content=b"1")}, tmp_path / "repository")
    assert tree(tmp_path / "later") == {"x": b"1"}


def test_the_working_directory_may_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    write({"x": File("x", content=b"1")}, Path())
    assert tree(folder) == {"x": b"1"}


@pytest.mark.parametrize("links", [True, False])
def test_content_that_several_models_share_is_stored_once_where_that_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "source").write_bytes(b"source")
    files = {
        **{f"{name}/content": File("content", content=b"content") for name in "ab"},
        **{f"{name}/source": File("source", source=tmp_path / "source") for name in "ab"},
    }
    output = tmp_path / "repository"
    write(files, output)
    assert tree(output) == {path: path.partition("/")[2].encode() for path in files}
    assert output.joinpath("a/content").samefile(output / "b/content") == links
    assert output.joinpath("a/source").samefile(output / "b/source") == links
    assert not output.joinpath("a/source").samefile(tmp_path / "source")


def test_files_have_the_permissions_of_the_process(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"")
    (tmp_path / "secret").chmod(0o400)
    before = os.umask(0o022)
    try:
        write({"a": File("a", content=b""), "b": File("b", source=tmp_path / "secret")}, tmp_path / "repository")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "repository").iterdir()}
    assert modes == {"a": 0o644, "b": 0o644}
    assert (tmp_path / "repository").stat().st_mode & 0o777 == 0o755


def test_no_process_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen: Callable[..., subprocess.Popen[bytes]] = subprocess.Popen

    def record(*args: object, **kwargs: object) -> subprocess.Popen[bytes]:
        started.append(popen(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", record)
    write({"x": File("x", content=b"1")}, tmp_path / "repository")
    assert [process.poll() for process in started] == [0]
