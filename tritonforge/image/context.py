"""The folder that Docker builds an image from: a Dockerfile, locked wheels, the backends, and the models."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from tritonforge.build.write import temporary_folder
from tritonforge.image.backends import missing_backends
from tritonforge.image.conflicts import naming_models
from tritonforge.image.copied import refuse_uncopied
from tritonforge.image.errors import ImageError
from tritonforge.image.requirements import SERVER, required_packages
from tritonforge.image.wheels import download, download_alone, lock, pip_wheel
from tritonforge.repository_files import dead_links
from tritonforge.resources import model_templates, python_backends
from tritonforge.server.docker.settings import release_image
from tritonforge.server.errors import PreflightError
from tritonforge.server.preflight import check_repository
from tritonforge.server.repository.folder import is_model
from tritonforge.server.repository.manifest import check_environments, check_manifest
from tritonforge.server.settings.command import SLEEPING_THREADS

__all__ = ["SLIM_RELEASE", "ImageOptions", "check_python", "write_context"]

SLIM_BASE = "debian:bookworm-slim"
SLIM_RELEASE, SLIM_PYTHON = "24.10", "3.11"
"""The release of the server's wheel, and the Python of Debian 12."""

_PYTHONS = ("3.10", "3.11", "3.12")
"""What the models' code and the server's NumPy run on."""

_NEW_PYTHON = "24.11"
"""NVIDIA's images have CPython 3.12 since this release, 3.10 before."""

SLIM_USER, NVIDIA_USER = "10001:10001", "1000:1000"
"""Who the images run as."""

_RUNTIME = "tritonforge_runtime"
_HEALTH = (
    "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8000, timeout=4); "
    "c.request('GET', '/v2/health/ready'); raise SystemExit(c.getresponse().status != 200)"
)
"""Without urllib, which would ask a proxy of the environment: Docker hands its own to each container."""

_BYTECODE = shutil.ignore_patterns("__pycache__")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOptions:
    """What an image is to be.

    `nvidia` builds on NVIDIA's image of `release` rather than on a slim base. `base` is another base image, and
    `python` its CPython. `bake` puts the models into the image; else they are mounted at /models. `project` are
    requirements where no definition has any. `pip_args` go to each call of pip on this machine.
    """

    nvidia: bool = False
    release: str = SLIM_RELEASE
    base: str = ""
    python: str = ""
    bake: bool = True
    project: tuple[str, ...] = ()
    pip_args: tuple[str, ...] = ()

    @property
    def base_image(self) -> str:
        """The image that it begins with."""
        return self.base or (release_image(self.release) if self.nvidia else SLIM_BASE)

    @property
    def user(self) -> str:
        """Who it runs as."""
        return NVIDIA_USER if self.nvidia else SLIM_USER

    @property
    def base_python(self) -> str:
        """The CPython there."""
        return self.python or self.default_python

    @property
    def default_python(self) -> str:
        """The CPython of the image that it begins with unless `base` is another."""
        if not self.nvidia:
            return SLIM_PYTHON
        return "3.12" if self.release >= _NEW_PYTHON else "3.10"


def write_context(
    repository: Path, folder: Path, options: ImageOptions, *, checked: Callable[[], object] = lambda: None
) -> None:
    """Write the files that `docker build` needs into a new folder: all of them, or nothing.

    `checked` is called once the repository and the options have passed, before any package is got.

    Raises:
        PreflightError: the folder is no model repository, or the image has no backend for one of its models.
        ImageError: the packages can't be had, or the release, or its image has another CPython than is named; or
            what is in a model can't be copied.
        OSError: a file can't be written.
    """
    try:
        check_python(options)
    except ValueError as error:
        raise ImageError(str(error)) from None
    found = check_repository(repository) or check_manifest(repository)
    if found := found or check_environments(repository, options.base_python):
        raise PreflightError(found)
    lacking = list(missing_backends(repository, release=options.release, nvidia=options.nvidia))
    if lacking and not options.base:  # what another image has isn't known
        raise PreflightError(lacking)
    if not options.nvidia and options.release > SLIM_RELEASE:
        reason = f"the repository is built for Triton {options.release}, and a slim image has {SLIM_RELEASE}"
        raise ImageError(f"{reason}\n  hint: take NVIDIA's image (--nvidia), or build for {SLIM_RELEASE}")
    if options.bake:
        refuse_uncopied(repository)
    checked()
    there = next(above for above in folder.absolute().parents if above.exists())
    with temporary_folder(there / folder.name) as new:
        _write(repository, new, options)
        folder.parent.mkdir(parents=True, exist_ok=True)
        new.rename(folder)


def check_python(options: ImageOptions) -> None:
    """Check that models run on an image's CPython, and that its base image is known to have that.

    Raises:
        ValueError: they don't, or it isn't.
    """
    if options.base_python not in _PYTHONS:
        reason = f"models run on CPython {', '.join(_PYTHONS[:-1])} or {_PYTHONS[-1]}, found {options.python!r}"
        raise ValueError(f"{reason}; name that of --base, or leave it out")
    if not options.base and options.base_python != options.default_python:
        reason = f"{options.base_image} has CPython {options.default_python}, not {options.python}"
        raise ValueError(f"{reason}; leave it out, or name another image with --base")


def _write(repository: Path, folder: Path, options: ImageOptions) -> None:
    wheels = folder / "wheels"
    wheels.mkdir()
    packages = required_packages(repository, options.project, native=options.nvidia)
    with naming_models(repository, options.project):
        download(packages, wheels, python=options.base_python, pip_args=options.pip_args)
    if not options.nvidia:
        download_alone(SERVER, wheels, python=options.base_python, pip_args=options.pip_args)
        _copy_backends(folder / "backends")
    (folder / "requirements.lock").write_text(lock(wheels), encoding="utf-8")
    installer = next((wheel.name for wheel in wheels.glob("pip-*.whl")), "") or pip_wheel(
        wheels, pip_args=options.pip_args
    )
    (folder / "Dockerfile").write_text(_dockerfile(options, installer), encoding="utf-8")
    if options.bake:
        shutil.copytree(repository, folder / "models", ignore=partial(_no_models, repository))
        _make_readable(folder / "models")


def _no_models(repository: Path, folder: str, names: list[str]) -> set[str]:
    """Leave out bytecode, and beside the models dead links and folders that are none (.git): Triton refuses them."""
    left_out = set(_BYTECODE(folder, names))
    if Path(folder) == repository:
        left_out |= {name for name in names if (repository / name).is_dir() and not is_model(repository / name)}
        left_out.update(dead_links(repository))
    return left_out


def _copy_backends(folder: Path) -> None:
    """Copy the backends that run in Python, each with the runtime that they share."""
    ours = python_backends()
    for backend in sorted(ours.iterdir()):
        if (backend / "model.py").is_file() and backend.name != _RUNTIME:
            shutil.copytree(backend, folder / backend.name, ignore=_BYTECODE)
            shutil.copytree(ours / _RUNTIME, folder / backend.name / _RUNTIME, ignore=_BYTECODE)


def _dockerfile(options: ImageOptions, installer: str) -> str:
    name = "Dockerfile.nvidia.j2" if options.nvidia else "Dockerfile.slim.j2"
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True, autoescape=False)
    template = environment.from_string((model_templates() / name).read_text(encoding="utf-8"))
    text: str = template.render(
        base=options.base_image,
        python=options.base_python,
        release=options.release if options.nvidia else SLIM_RELEASE,
        pip=installer,
        user=options.user,
        models=["COPY models/ /models/"] if options.bake else [],
        threads=" ".join(f"{name}={value}" for name, value in SLEEPING_THREADS.items()),
        health=_HEALTH,
    )
    return text


def _make_readable(folder: Path) -> None:
    """Let every user read the models, as the image's user is none of this machine's."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
