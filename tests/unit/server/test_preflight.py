"""What keeps a server from starting: every fault planted, and the whole message."""

from __future__ import annotations

import os
import platform
import re
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tritonforge.server import PreflightError, ServerSettings
from tritonforge.server import preflight as module
from tritonforge.server.installed.libpython import SONAME, Libpython
from tritonforge.server.machine import Machine, probe
from tritonforge.server.preflight import check_machine, check_repository, preflight
from tritonforge.server.settings.checks import check_cache_size, check_ports

PYTHON = platform.python_version()
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
PIP = f"{sys.executable} -m pip install"
OTHER = Libpython(Path(f"/usr/lib/{SONAME}"), f"{MINOR}.999")


@pytest.fixture(scope="module")
def machine() -> Machine:
    return probe()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "echo" / "1").mkdir(parents=True)
    return tmp_path


def test_this_machine_passes(machine: Machine) -> None:
    """Or no test here could run a server."""
    assert check_machine(machine) == []


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (
            {"system": "Darwin", "processor": "arm64", "glibc": ""},
            "the embedded server is a program for Linux on x86-64; this is Darwin on arm64\n"
            "  hint: build here, and serve in a Linux x86-64 container or machine  [TF502]",
        ),
        (
            {"glibc": "2.31"},
            "the embedded server needs glibc 2.35 or later; found glibc 2.31\n"
            "  hint: use Debian 12, Ubuntu 22.04, Fedora 36, RHEL 10 or later, or a container of one  [TF503]",
        ),
        (
            {"glibc": ""},
            "the embedded server needs glibc 2.35 or later; found another C library\n"
            "  hint: use Debian 12, Ubuntu 22.04, Fedora 36, RHEL 10 or later, or a container of one  [TF503]",
        ),
        (
            {"installation": None},
            f"nvidia-pytriton, which holds the embedded server, is not installed for {sys.executable}\n"
            f"  hint: {PIP} nvidia-pytriton==0.7.0  [TF504]",
        ),
        (
            {"python": "3.7.1", "libpythons": (Libpython(Path("/lib"), PYTHON),)},
            "the embedded server runs no models under Python 3.7; it has 3.8, 3.9, 3.10, 3.11, 3.12, 3.13\n"
            "  hint: use tritonforge with CPython 3.10, 3.11 or 3.12  [TF505]",
        ),
        (
            {"numpy": "2.4.1"},
            "NumPy 2.4.1 silently corrupts the tensors of the embedded server's models; it needs NumPy < 2\n"
            f"  hint: {PIP} 'numpy<2'  [TF506]",
        ),
        (
            {"numpy": ""},
            f"NumPy is not installed for {sys.executable}, which runs the Python models\n"
            f"  hint: {PIP} 'numpy<2'  [TF506]",
        ),
    ],
)
def test_faults_of_the_machine(machine: Machine, facts: dict[str, Any], message: str) -> None:
    """Each is said with what was found, what is needed, and how to get it."""
    (diagnostic,) = check_machine(replace(machine, **facts))
    assert str(diagnostic) == message


@pytest.mark.parametrize(
    ("base", "hint"),
    [
        (
            "/home/me/.pyenv/versions/3",
            f"PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install --force {PYTHON}, then make the environment again",
        ),
        (
            "/opt/python",
            f"use a Python built with --enable-shared: the system's with its libpython{MINOR} package, conda's, or "
            f"`uv python install {MINOR}`; then make the environment again",
        ),
    ],
)
@pytest.mark.parametrize("found", [(), (OTHER,)])
def test_a_missing_or_wrong_libpython(
    machine: Machine, found: tuple[Libpython, ...], base: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way to get the library is the one of this kind of Python."""
    monkeypatch.setattr(sys, "base_prefix", base)
    (diagnostic,) = check_machine(replace(machine, libpythons=found))
    wanted = (
        f"{SONAME} must be of Python {PYTHON} exactly, as {sys.executable} is; found {OTHER.path} ({OTHER.version})"
        if found
        else f"the embedded server needs the shared library {SONAME}, and there is none for {sys.executable}"
    )
    assert (diagnostic.message, diagnostic.hint, diagnostic.code) == (wanted, hint, "TF507")


@pytest.mark.parametrize(
    ("release", "hint"),
    [
        ({"ID": "ubuntu", "ID_LIKE": "debian"}, f"apt install libpython{MINOR}"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, f"dnf install python{MINOR}-libs"),
    ],
)
def test_the_systems_python_gets_its_library_from_the_systems_packages(
    machine: Machine, release: dict[str, str], hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package is named as the system names it."""
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: release)
    (diagnostic,) = check_machine(replace(machine, libpythons=()))
    assert diagnostic.hint == f"{hint}, or use the Python of `uv python install`, which has it"


def test_faults_of_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is missing, a file, empty, or one of the models."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "model" / "1").mkdir(parents=True)
    (tmp_path / "odd" / "my model" / "1").mkdir(parents=True)
    (tmp_path / "endless" / "echo").mkdir(parents=True)
    os.mkfifo(tmp_path / "endless" / "echo" / "config.pbtxt")
    none = "the model repository holds no model: no folder in it has a config.pbtxt or a version folder"
    build = "build into it: tritonforge build FILE -o FOLDER"
    expected = {
        "missing": "missing: the model repository does not exist\n"
        "  hint: build it: tritonforge build FILE -o FOLDER  [TF509]",
        "file": "file: the model repository is a file, not a folder\n"
        "  hint: build it: tritonforge build FILE -o FOLDER  [TF509]",
        "model": f"model: {none}; it is itself a model\n  hint: give its parent, {tmp_path}  [TF509]",
        "endless": "endless/echo/config.pbtxt: it is not a regular file\n"
        "  hint: put a file in its place, or remove it  [TF509]",
        "model/1": f"model/1: {none}\n  hint: {build}  [TF509]",
        "odd": "odd/my model: the Python backend can't start a model of this name\n"
        "  hint: rename the folder, and the model with it: ASCII letters, digits and @%+=:,._- are fine  [TF509]",
    }
    for name, message in expected.items():
        (diagnostic,) = check_repository(tmp_path / name)
        assert str(diagnostic) == message


def test_a_model_with_a_process_has_a_name_that_it_can_be_started_with(tmp_path: Path) -> None:
    """The stub's Python has the locale C; an ensemble, which has none, may have any letters."""
    for name, text in {"modèle": 'backend: "python"', "my réseau": 'platform: "ensemble"'}.items():
        (tmp_path / name / "1").mkdir(parents=True)
        (tmp_path / name / "config.pbtxt").write_text(text)
    (diagnostic,) = check_repository(tmp_path)
    assert (diagnostic.code, diagnostic.where.file) == ("TF509", str(tmp_path / "modèle"))


def test_faults_of_ports() -> None:
    """All that are taken are told of at once."""
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        http, metrics = (taken.getsockname()[1] for taken in (first, second))
        found = check_ports(ServerSettings(http_port=http, grpc_port=0, metrics_port=metrics))
    assert [str(diagnostic.where) for diagnostic in found] == [f"port {http} (http)", f"port {metrics} (metrics)"]
    assert found[1].hint == "choose another with --metrics-port or TRITONFORGE_METRICS_PORT (0 takes a free one)"


def test_a_cache_beyond_the_machines_memory_is_refused() -> None:
    """Triton takes all of it at its start."""
    (found,) = check_cache_size(ServerSettings.load({}, cache_size="99999TiB"))
    assert re.fullmatch(
        r"cache_size: found 97.66 PiB, and this machine has \S+ [KMGT]iB of memory\n"
        r"  hint: make it smaller; 0 is none  \[TF501\]",
        str(found),
    )
    assert check_cache_size(ServerSettings.load({}, cache_size="1MiB")) == []


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid", "::1", "a" * 64])
def test_an_address_that_is_not_this_machines(host: str) -> None:
    """Neither somebody else's address nor an unknown name can be listened on."""
    found = check_ports(ServerSettings(host=host, public=True, http_port=0, grpc_port=0, metrics_port=0))
    assert [diagnostic.code for diagnostic in found] == ["TF508"]


@pytest.mark.parametrize(
    ("free", "message"),
    [
        (None, "/dev/shm can't be written to; Python models get their tensors through it"),
        (1 << 20, "1.0 MiB free in /dev/shm, and 1 model needs at least 2 MiB there"),
    ],
)
def test_too_little_shared_memory_is_told_beside_other_faults(
    free: int | None, message: str, machine: Machine, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything is collected into one error."""
    monkeypatch.setattr(module, "probe", lambda: replace(machine, shared_memory_bytes=free, numpy="2.0.0"))
    with pytest.raises(PreflightError) as refused:
        preflight(repository, ServerSettings(http_port=0, grpc_port=0, metrics_port=0))
    assert [diagnostic.code for diagnostic in refused.value.diagnostics] == ["TF506", "TF510"]
    assert refused.value.diagnostics[1].message == message
