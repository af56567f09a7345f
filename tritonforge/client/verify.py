"""A server held to the golden samples of a repository: does it answer as the definitions did when they were built?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tritonforge.client.client import Client
from tritonforge.client.errors import InferenceFailed, InvalidRequest, ModelNotFound, ModelNotReady
from tritonforge.errors import TritonForgeError
from tritonforge.manifest import MANIFEST, read_manifest
from tritonforge.samples import TOLERANCE, Golden, differing, golden_of

__all__ = ["NotVerifiable", "Verified", "verify"]


class NotVerifiable(TritonForgeError):
    """There are no golden samples to hold a server to."""


@dataclass(frozen=True, slots=True)
class Verified:
    """How a model did: how many samples there are, and the words of each that was answered otherwise.

    `untried` says why none was tried: they can't be read, or the server doesn't serve the model.
    """

    model: str
    samples: int
    wrong: tuple[str, ...] = ()
    untried: str = ""


def verify(client: Client, repository: Path, *, tolerance: float = TOLERANCE) -> Iterator[Verified]:
    """Send a repository's golden samples, and compare; give each model of its manifest, those without samples too.

    Floats may be off by `tolerance`, absolutely and as a share.

    Raises:
        InvalidManifest: the repository's manifest is not what a build writes.
        NotVerifiable: it has none.
        ClientError: the server doesn't answer.
    """
    for model in _models(repository):
        try:
            samples = golden_of(repository, model)
        except FileNotFoundError as error:
            yield Verified(model, 0, untried=f"{error.filename} is missing; put it back, or build again")
            continue
        except (OSError, ValueError) as error:
            yield Verified(model, 0, untried=str(error))
            continue
        try:
            wrong = [
                f"sample {number}: {difference}"
                for number, sample in enumerate(samples)
                if (difference := _difference(client, model, sample, tolerance))
            ]
        except (ModelNotFound, ModelNotReady) as error:
            yield Verified(model, len(samples), untried=str(error))
        else:
            yield Verified(model, len(samples), tuple(wrong))


def _difference(client: Client, model: str, sample: Golden, tolerance: float) -> str:
    """Say in what a server's answer isn't the sample's; nothing where it is."""
    try:
        found = client.infer(model, dict(sample.inputs), parameters=sample.parameters).outputs
    except (InferenceFailed, InvalidRequest) as error:
        return str(error)
    return differing(found, sample.outputs, tolerance)


def _models(repository: Path) -> list[str]:
    content = read_manifest(repository)
    if not content:
        reason = f"{repository} has no {MANIFEST}; golden samples are where tritonforge build has written a repository"
        raise NotVerifiable(reason)
    return sorted(content["models"])
