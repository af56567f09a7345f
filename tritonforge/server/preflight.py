"""What would keep a server from starting, found before it is started and said all at once."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tritonforge.errors import Diagnostic, Where
from tritonforge.repository_files import stub_safe
from tritonforge.server.errors import PreflightError
from tritonforge.server.installed.installation import find_tritonserver
from tritonforge.server.installed.libpython import SONAME, choose_libpython
from tritonforge.server.installed.model_backends import check_backends
from tritonforge.server.machine import SHARED_MEMORY, Machine, probe
from tritonforge.server.repository.folder import CONFIG, config_fields, is_model, model_folders
from tritonforge.server.repository.manifest import check_environments, check_manifest
from tritonforge.server.settings.certificates import check_certificates
from tritonforge.server.settings.checks import check_cache_size, check_load_models, check_ports
from tritonforge.server.settings.server import ServerSettings

__all__ = [
    "check_machine",
    "check_named_server",
    "check_repository",
    "check_shared_memory",
    "preflight",
    "preflight_machine",
]

OLDEST_GLIBC = (2, 35)
SHARED_MEMORY_A_MODEL = 2 << 20
"""Bytes: one instance takes 1 MiB, and the stub that completes a model's configuration as much again."""


def preflight(repository: Path, settings: ServerSettings) -> Machine:
    """Check machine, repository and settings, and give what was learnt of the machine.

    Raises:
        PreflightError: everything that is amiss.
    """
    machine = probe()
    found = [*_check_server(machine, settings), *check_cache_size(settings), *check_repository(repository)]
    found += check_manifest(repository) or _check_environments(repository, machine, settings)
    found += [*check_load_models(repository, settings), *check_backends(repository, settings)]
    found += [*check_certificates(settings), *check_ports(settings)]
    found += check_shared_memory(machine, models=len(model_folders(repository)))
    if found:
        raise PreflightError(found)
    return machine


def _check_environments(repository: Path, machine: Machine, settings: ServerSettings) -> list[Diagnostic]:
    """Check the models' environments against the Python that will run them; another server's isn't known."""
    return [] if settings.tritonserver else check_environments(repository, ".".join(machine.python.split(".")[:2]))


def preflight_machine(settings: ServerSettings) -> None:
    """Check the machine and the settings, where the repository is still to be built.

    Raises:
        PreflightError: everything that is amiss.
    """
    found = [*_check_server(probe(), settings), *check_cache_size(settings)]
    found += [*check_certificates(settings), *check_ports(settings)]
    if found:
        raise PreflightError(found)


def _check_server(machine: Machine, settings: ServerSettings) -> list[Diagnostic]:
    """Check what the wheel's server needs, or the one which is named instead."""
    return check_named_server(settings) if settings.tritonserver else check_machine(machine)


def check_named_server(settings: ServerSettings) -> list[Diagnostic]:
    """Check that the server which is to run in the place of the embedded one, if one is named, is there and whole.

    A script can't be given the key: what it starts would have that on its command line.
    """
    if not settings.tritonserver:
        return []
    where = Where(subject="tritonserver")
    named = find_tritonserver(settings.tritonserver)
    if named is None:
        message = f"found no program {settings.tritonserver}"
        hint = "name the program, its folder (/opt/tritonserver), or leave it out for the embedded server"
        return [Diagnostic("TF504", where, message, hint)]
    found = []
    if not named.backends.is_dir():
        message = f"the backends of {named.server} are looked for in {named.backends}, and there is no such folder"
        hint = "name the program where it was installed (/opt/tritonserver/bin/tritonserver), or the folder with both"
        found.append(Diagnostic("TF504", where, message, hint))
    if settings.restricted and named.is_script:
        message = f"{named.server} is a script, and the server that it starts would show the key to every user, in `ps`"
        hint = "name the program that it starts; or start it with --no-key (restricted_apis=[]), which opens all APIs"
        found.append(Diagnostic("TF504", where, message, hint))
    return found


def check_machine(machine: Machine) -> list[Diagnostic]:
    """Check the system, the installed packages and the Python library; on another system than Linux only that."""
    if machine.system != "Linux" or machine.processor not in ("x86_64", "AMD64"):
        return list(_platform(machine))
    return [diagnostic for rule in _RULES for diagnostic in rule(machine)]


def check_repository(repository: Path) -> list[Diagnostic]:
    """Check that a folder is there, and has models in it."""
    where = Where(file=str(repository))
    if not repository.is_dir():
        found = "is a file, not a folder" if repository.exists() else "does not exist"
        return [
            Diagnostic("TF509", where, f"the model repository {found}", "build it: tritonforge build FILE -o FOLDER")
        ]
    if not model_folders(repository):
        message = "the model repository holds no model: no folder in it has a config.pbtxt or a version folder"
        if is_model(repository):
            return [
                Diagnostic("TF509", where, f"{message}; it is itself a model", f"give its parent, {repository.parent}")
            ]
        return [Diagnostic("TF509", where, message, "build into it: tritonforge build FILE -o FOLDER")]
    return [*_unreadable(repository), *_unsafe(repository)]


def _unreadable(repository: Path) -> list[Diagnostic]:
    """Find configurations that Triton would wait for, or read for ever."""
    configs = [folder / CONFIG for folder in model_folders(repository)]
    hint = "put a file in its place, or remove it"
    return [
        Diagnostic("TF509", Where(file=str(config)), "it is not a regular file", hint)
        for config in configs
        if config.exists() and not config.is_file()
    ]


def _unsafe(repository: Path) -> list[Diagnostic]:
    """Find names that no process of a model can be started with; an ensemble has none."""
    hint = "rename the folder, and the model with it: ASCII letters, digits and @%+=:,._- are fine"
    return [
        Diagnostic("TF509", Where(file=str(folder)), "the Python backend can't start a model of this name", hint)
        for folder in model_folders(repository)
        if not stub_safe(folder.name) and config_fields(folder).get("platform", ("", 0))[0] != "ensemble"
    ]


def _platform(machine: Machine) -> Iterator[Diagnostic]:
    message = f"the embedded server is a program for Linux on x86-64; this is {machine.system} on {machine.processor}"
    yield Diagnostic("TF502", Where(), message, "build here, and serve in a Linux x86-64 container or machine")


def _glibc(machine: Machine) -> Iterator[Diagnostic]:
    numbers = tuple(int(part) for part in machine.glibc.split(".") if part.isdecimal())
    if numbers >= OLDEST_GLIBC:
        return
    found = f"found glibc {machine.glibc}" if numbers else "found another C library"
    message = f"the embedded server needs glibc {'.'.join(map(str, OLDEST_GLIBC))} or later; {found}"
    yield Diagnostic(
        "TF503", Where(), message, "use Debian 12, Ubuntu 22.04, Fedora 36, RHEL 10 or later, or a container of one"
    )


def _installation(machine: Machine) -> Iterator[Diagnostic]:
    version = ".".join(machine.python.split(".")[:2])
    if machine.installation is None:
        message = f"nvidia-pytriton, which holds the embedded server, is not installed for {machine.executable}"
        yield Diagnostic("TF504", Where(), message, f"{machine.executable} -m pip install nvidia-pytriton==0.7.0")
    elif not machine.installation.stub(version).is_file():
        has = ", ".join(machine.installation.stub_versions())
        message = f"the embedded server runs no models under Python {version}; it has {has}"
        yield Diagnostic("TF505", Where(), message, "use tritonforge with CPython 3.10, 3.11 or 3.12")


def _numpy(machine: Machine) -> Iterator[Diagnostic]:
    if not machine.numpy:
        message = f"NumPy is not installed for {machine.executable}, which runs the Python models"
        yield Diagnostic("TF506", Where(), message, f"{machine.executable} -m pip install 'numpy<2'")
    elif not machine.numpy.startswith(("0.", "1.")):
        message = (
            f"NumPy {machine.numpy} silently corrupts the tensors of the embedded server's models; it needs NumPy < 2"
        )
        yield Diagnostic("TF506", Where(), message, f"{machine.executable} -m pip install 'numpy<2'")


def _libpython(machine: Machine) -> Iterator[Diagnostic]:
    if not machine.executable:
        yield Diagnostic(
            "TF511", Where(), "this Python doesn't know its own program (sys.executable is empty)", "run it as python3"
        )
    elif not machine.libpythons:
        message = f"the embedded server needs the shared library {SONAME}, and there is none for {machine.executable}"
        yield Diagnostic("TF507", Where(), message, _get_libpython(machine))
    elif choose_libpython(machine.libpythons) is None:
        found = ", ".join(f"{library.path} ({library.version})" for library in machine.libpythons)
        message = f"{SONAME} must be of Python {machine.python} exactly, as {machine.executable} is; found {found}"
        yield Diagnostic("TF507", Where(), message, _get_libpython(machine))


def _get_libpython(machine: Machine) -> str:
    """Say how this interpreter's kind of installation gets its shared library."""
    version = ".".join(machine.python.split(".")[:2])
    base = Path(sys.base_prefix)
    if ".pyenv" in base.parts:
        install = f"PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install --force {machine.python}"
        return f"{install}, then make the environment again"
    if base == Path("/usr"):
        packages = {"debian": f"apt install libpython{version}", "fedora": f"dnf install python{version}-libs"}
        return packages[_family()] + ", or use the Python of `uv python install`, which has it"
    return (
        f"use a Python built with --enable-shared: the system's with its libpython{version} package, conda's, or "
        f"`uv python install {version}`; then make the environment again"
    )


def _family() -> str:
    """Tell which kind of packages this Linux has."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return "debian"
    names = f"{release.get('ID', '')} {release.get('ID_LIKE', '')}"
    return "fedora" if any(name in names for name in ("fedora", "rhel", "centos")) else "debian"


def check_shared_memory(machine: Machine, *, models: int) -> Iterator[Diagnostic]:
    """Check that /dev/shm has room for what this many Python models need at least."""
    if machine.system != "Linux":
        return
    needed = SHARED_MEMORY_A_MODEL * max(models, 1)
    hint = "in a container: docker run --shm-size=1g; on a machine: mount -o remount,size=1G /dev/shm"
    if machine.shared_memory_bytes is None:
        message = f"{SHARED_MEMORY} can't be written to; Python models get their tensors through it"
        yield Diagnostic("TF510", Where(), message, hint)
    elif machine.shared_memory_bytes < needed:
        free = f"{machine.shared_memory_bytes / 2**20:.1f} MiB free in {SHARED_MEMORY}"
        need = "1 model needs" if models == 1 else f"{models} models need"
        message = f"{free}, and {need} at least {needed >> 20} MiB there"
        yield Diagnostic("TF510", Where(), message, hint)


_RULES: tuple[Callable[[Machine], Iterator[Diagnostic]], ...] = (_glibc, _installation, _numpy, _libpython)
