"""The server that is measured: the user's own, or one that is started for the sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tritonforge.report.options import BadOption
from tritonforge.report.scenario import Dimensions, Scenario

if TYPE_CHECKING:
    from tritonforge.server import Server

__all__ = ["Served", "served"]

DEFAULT_HOST = "127.0.0.1"
_GOLDEN = 8
"""How many golden samples are made of definitions that are built for the run."""


@dataclass(frozen=True, slots=True)
class Served:
    """The URLs to measure; and, where it is served for this, the repository, with what its manifest knows of it.

    That is each model's names of its inputs' dimensions.
    """

    urls: tuple[str, ...]
    dimensions: Dimensions = field(default_factory=dict)
    repository: Path | None = None


@contextmanager
def served(scenario: Scenario, *, warn: Callable[[str], None] = lambda text: None) -> Iterator[Served]:
    """Say what to measure; where the scenario names a repository or definitions, a server runs for the block.

    Raises:
        BadOption: the repository doesn't exist, or a protocol is unknown.
        TritonForgeError: what the build or the server's start raise.
    """
    wanted = [name.strip() for name in scenario.protocol.split(",")]
    if unknown := [name for name in wanted if name not in ("http", "grpc")]:
        raise BadOption("protocol", f"{unknown[0]!r} is unknown; wanted http, grpc or http,grpc")
    if len(set(wanted)) < len(wanted):
        raise BadOption(
            "protocol", f"{scenario.protocol} has {wanted[0]} more than once; wanted http, grpc or http,grpc"
        )
    if scenario.repository is None:
        named = tuple(url for host in scenario.url or (DEFAULT_HOST,) for url in _urls(host, wanted))
        _check_protocols(named, wanted)
        _check_apart(named)
        yield Served(named)
        return
    golden = _GOLDEN if scenario.data == "golden" else None
    with _serving(scenario.repository, warn, golden) as (server, repository):
        urls = {"http": server.http_url, "grpc": server.grpc_url}
        yield Served(tuple(urls[name] for name in wanted), _dimensions(repository), repository)


def _check_protocols(urls: Sequence[str], wanted: Sequence[str]) -> None:
    """Refuse protocols that the URLs contradict. HTTP alone may be nobody's wish: it is the default."""
    spoken = {url: _protocol(url) for url in urls}
    if wanted == ["http"]:
        return
    for url, protocol in spoken.items():
        if protocol not in wanted:
            hint = "leave --protocol out, which is for hosts alone, and give --url for each"
            raise BadOption(
                "protocol", f"{','.join(wanted)} is asked for beside the URL {url}, which says its own; {hint}"
            )
    if lacking := [protocol for protocol in wanted if protocol not in spoken.values()]:
        hint = f"give --url {lacking[0]}://… too, or a host alone"
        raise BadOption("protocol", f"{lacking[0]} is asked for, and no URL is over it: {', '.join(urls)}; {hint}")


def _protocol(url: str) -> str:
    return url.partition("://")[0].removesuffix("s")


def _check_apart(urls: Sequence[str]) -> None:
    """Refuse two servers over one protocol: a report names its points by load and protocol."""
    for protocol in ("http", "grpc"):
        same = [url for url in urls if url.startswith(protocol)]
        if len(same) > 1:
            raise BadOption(
                "url",
                f"{' and '.join(same)} are all over {protocol}, and nobody could tell their rows apart; measure each "
                f"by itself, or let them take turns: tritonforge perf compare {' '.join(same)} --model NAME",
            )


def _urls(url: str, wanted: list[str]) -> list[str]:
    """Give a URL as it is, and a host, whose ports are the default ones, by each protocol."""
    if "://" in url:
        return [url]
    if ":" in url and len(wanted) > 1:
        raise BadOption(
            "protocol",
            f"{url} is one port, which speaks one protocol; name the host alone, or give a URL for each: http://…, grpc://…",
        )
    return [f"{protocol}://{url}" for protocol in wanted]


@contextmanager
def _serving(path: Path, warn: Callable[[str], None], golden: int | None) -> Iterator[tuple[Server, Path]]:
    """Serve a repository, or definitions that are built for it, on free ports; give the repository too."""
    from tritonforge.build import build
    from tritonforge.manifest import MANIFEST
    from tritonforge.server import Server, Workspace
    from tritonforge.server.repository.folder import is_repository

    if not path.exists():
        raise BadOption("repository", f"{path} does not exist; wanted a model repository or a file of definitions")
    with Workspace() as workspace:
        repository = path
        built = path.is_dir() and ((path / MANIFEST).is_file() or not any(path.glob("*.py")))
        if not (built and is_repository(path)):
            repository = workspace.folder / "model_repository"
            for warning in build((path,), repository, golden=golden).warnings:
                warn(str(warning))
        server = Server.embedded(
            repository,
            workspace=workspace,
            projects=(path.parent.resolve(),),
            http_port=0,
            grpc_port=0,
            metrics_port=0,
        )
        with server:
            yield server, repository


def _dimensions(repository: Path) -> Dimensions:
    """Read the names from a manifest, which the server's start has checked; none where there is no manifest."""
    from tritonforge.manifest import read_manifest

    return {
        name: {each["name"]: tuple(str(dim) for dim in each["dims"]) for each in model["signature"]["inputs"]}
        for name, model in read_manifest(repository).get("models", {}).items()
    }
