"""`tritonforge image`: a Dockerfile, and the image, for a model repository."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tritonforge.cli.check import RELEASE
from tritonforge.cli.docker_options import filled, filled_path
from tritonforge.cli.interruptions import Interruptions, interruptible

if TYPE_CHECKING:
    from tritonforge.image import ImageOptions

__all__ = ["image"]


def image(
    repository: Annotated[
        Path | None, typer.Argument(metavar="[REPO]", help="The model repository [default: pyproject.toml's].")
    ] = None,
    tag: Annotated[
        str | None, typer.Option("--tag", "-t", parser=filled, metavar="NAME", help="The image's name.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            parser=filled_path,
            metavar="FOLDER",
            help="Write what `docker build` needs there, and build nothing.",
        ),
    ] = None,
    nvidia: Annotated[
        bool, typer.Option("--nvidia", help="Build on NVIDIA's image: GPUs, all backends, 15 GB.")
    ] = False,
    release: Annotated[
        str | None,
        typer.Option(
            parser=filled,
            metavar="YY.MM",
            help="With --nvidia: the Triton release of its image, or of --base [default: the target].",
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(parser=filled, metavar="NAME", help="Another base image [default: debian:bookworm-slim]."),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(parser=filled, metavar="3.N", help="The CPython of the base image [default: 3.11 of Debian 12]."),
    ] = None,
    bake: Annotated[bool, typer.Option(help="Put the models into the image; else mount them at /models.")] = True,
    project_requirements: Annotated[
        bool, typer.Option(help="Install pyproject.toml's dependencies where no definition has requirements=.")
    ] = True,
    pip_arg: Annotated[
        list[str] | None,
        typer.Option(
            parser=filled, metavar="ARGUMENT", help="An argument for pip, which runs here: --pip-arg=--index-url=…"
        ),
    ] = None,
    compose: Annotated[
        Path | None,
        typer.Option(
            parser=filled_path,
            metavar="FOLDER",
            help="Write compose.yaml into this folder too, with a Prometheus that scrapes.",
        ),
    ] = None,
) -> None:
    """Make a container image for a model repository: small by default, without root, with its packages locked."""
    with interruptible() as interruptions:
        from tritonforge.build import load_project
        from tritonforge.image import SLIM_RELEASE, ImageOptions, check_python
        from tritonforge.image import project_requirements as read_project
        from tritonforge.server.repository.manifest import read_target

        if release and not nvidia:
            reason = f"it is of NVIDIA's images, and a slim one has {SLIM_RELEASE}: add --nvidia, or leave it out"
            raise typer.BadParameter(reason, param_hint="--release")
        if release and not RELEASE.fullmatch(release):
            reason = f"{release} is no release; releases are YY.MM, such as 24.10"
            raise typer.BadParameter(reason, param_hint="--release")
        project = load_project()
        folder = repository or project.repository
        _refuse_definitions(folder)
        options = ImageOptions(
            nvidia=nvidia,
            release=release or read_target(folder),
            base=base or "",
            python=python or "",
            bake=bake,
            project=read_project(project.root / "pyproject.toml") if project_requirements else (),
            pip_args=tuple(pip_arg or ()),
        )
        try:
            check_python(options)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--python") from None
        name = _image_name(tag, folder)
        try:
            with nullcontext() if compose is None else _composing(folder, compose, name, options):
                _make(folder, output, name, options, interruptions)
        except KeyboardInterrupt:
            raise typer.Exit(interruptions.code) from None


def _refuse_definitions(path: Path) -> None:
    """Refuse what a repository is built from."""
    from tritonforge.server.repository.folder import holds_models

    if path.is_file() or (path.is_dir() and not holds_models(path) and any(path.glob("*.py"))):
        if path.is_file() and path.suffix != ".py":
            raise typer.BadParameter(f"{path} is a file; name a model repository", param_hint="REPO")
        reason = f"{path} has definitions, and an image is made of a repository; build it first"
        raise typer.BadParameter(f"{reason}: tritonforge build {shlex.quote(str(path))}", param_hint="REPO")


def _image_name(tag: str | None, folder: Path) -> str:
    """Give the name that was given, or that of the repository's folder."""
    from tritonforge.server.docker.settings import check_image_name

    name = tag or f"{folder.resolve().name.lower()}:latest"
    try:
        check_image_name(name, built=True)
    except ValueError as error:
        if tag:
            raise typer.BadParameter(str(error), param_hint="--tag") from None
        reason = f"the image would be named after {folder}, and {name} is no image's name: give one with --tag"
        raise typer.BadParameter(reason, param_hint="REPO") from None
    return name


def _make(
    repository: Path, output: Path | None, name: str, options: ImageOptions, interruptions: Interruptions
) -> None:
    """Write the context, and build it unless it was asked for itself; an interruption leaves nothing."""
    from tritonforge.build.write import temporary_folder
    from tritonforge.image import from_elsewhere, write_context
    from tritonforge.server.docker.client import build_image, connect, find_image

    if output:
        _check_output(output, repository)
    client = None if output else connect()
    interruptions.at_once = False
    for link in from_elsewhere(repository) if options.bake else ():
        reason = f"{link} leads out of the repository: the image gets {link.resolve()}, for all to read"
        typer.echo(f"warning: {reason}", err=True)

    def say(line: str) -> None:
        typer.echo(line, err=True)

    def checked() -> None:
        if client is not None:  # without it the packages would be for nothing
            find_image(client, options.base_image, progress=say, as_base=True)
        say(f"packages for CPython {options.base_python}, from pip")

    if client is None:
        assert output is not None
        write_context(repository, output, options, checked=checked)
        typer.echo(f"docker build --tag {shlex.quote(name)} {shlex.quote(str(output))}")
        return
    with temporary_folder(Path(tempfile.gettempdir()) / "tritonforge-image") as folder:
        write_context(repository, folder / "context", options, checked=checked)
        image = build_image(client, folder / "context", name, say)
    typer.echo(f"{image.name} ({image.size / 1e6:.0f} MB)")


def _check_output(output: Path, repository: Path) -> None:
    """Refuse a folder that is there, and one that Triton would take for a model."""
    if output.resolve().is_relative_to(repository.resolve()):
        reason = f"{output} is in the model repository {repository}, which it would break; name a folder beside it"
        raise typer.BadParameter(reason, param_hint="--output")
    if output.exists():
        reason = f"{output} is there already; name a new folder"
        if all((output / name).exists() for name in ("Dockerfile", "requirements.lock", "wheels")):
            reason += f", or remove it first: rm -r {shlex.quote(str(output))}"
        raise typer.BadParameter(reason, param_hint="--output")


@contextmanager
def _composing(repository: Path, folder: Path, name: str, options: ImageOptions) -> Iterator[None]:
    """Have a compose.yaml in a folder once the block has made the image."""
    from tritonforge.image import check_compose, composing
    from tritonforge.server import PreflightError
    from tritonforge.server.docker.container import Image
    from tritonforge.server.preflight import check_repository
    from tritonforge.server.repository.shared_memory import needed_shared_memory

    try:
        check_compose(folder)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--compose") from None
    if found := check_repository(repository):
        raise PreflightError(found)
    backends = ("python",) if options.nvidia else ("python", "onnxruntime", "pytorch")
    models = None if options.bake else repository.resolve()
    shared_memory = needed_shared_memory(repository, backends=backends)
    image = Image(name, user=options.user)
    with composing(folder, image=image, shared_memory=shared_memory, models=models, gpus=options.nvidia):
        yield
    typer.echo(f"{folder / 'compose.yaml'}, with {shared_memory} in /dev/shm")
