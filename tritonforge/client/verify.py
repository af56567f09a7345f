"""A server held to the golden samples of a repository: does it answer as the definitions did when they were built?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tritonforge.client.client import Client
from tritonforge.client.errors import InferenceFailed, InvalidRequest
from tritonforge.errors import TritonForgeError
from tritonforge.manifest import MANIFEST, read_manifest
from tritonforge.samples import TOLERANCE, differing, golden_of

__all__ = ["NotVerifiable", "Verified", "verify"]


class NotVerifiable(TritonForgeError):
    """There are no golden samples to hold a server to."""


@dataclass(frozen=True, slots=True)
class Verified:
    """How a model did: how many samples there are, and the words of each that was answered otherwise.

    `unread` says why its samples can't be read; there are none then.
    """

    model: str
    samples: int
    wrong: tuple[str, ...] = ()
    unread: str = ""


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
            yield Verified(model, 0, unread=f"{error.filename} is missing; put it back, or build again")
            continue
        except (OSError, ValueError) as error:
            yield Verified(model, 0, unread=str(error))
            continue
        wrong = []
        for number, sample in enumerate(samples):
            try:
                found = client.infer(model, dict(sample.inputs)).outputs
            except (InferenceFailed, InvalidRequest) as error:
                difference = str(error)
            else:
                difference = differing(found, sample.outputs, tolerance)
            if difference:
                wrong.append(f"sample {number}: {difference}")
        yield Verified(model, len(samples), tuple(wrong))


def _models(repository: Path) -> list[str]:
    content = read_manifest(repository)
    if not content:
        reason = f"{repository} has no {MANIFEST}; golden samples are where tritonforge build has written a repository"
        raise NotVerifiable(reason)
    return sorted(content["models"])
