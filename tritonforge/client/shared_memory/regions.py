"""What a server is asked about shared memory that it maps, and what its refusals mean."""

from __future__ import annotations

import base64
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from tritonforge.client.cuda.arrays import CudaMemory
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import (
    ClientError,
    DeadlineExceeded,
    InferenceFailed,
    InvalidRequest,
    ServerUnavailable,
)
from tritonforge.client.questions import Question
from tritonforge.client.shared_memory.segments import PREFIX, Segment, abandoned, remove

__all__ = [
    "cuda_registration",
    "cuda_unregistration",
    "is_gone",
    "is_known_already",
    "is_outgrown",
    "is_unknown",
    "registration",
    "sweep",
    "unregistration",
]

_LOG = logging.getLogger("tritonforge.client")

Ask = Callable[[Question, Deadline], Awaitable[Any]]
LetGo = Callable[[str, Deadline], Awaitable[None]]


def registration(segment: Segment) -> Question:
    """Ask the server to map a segment."""
    body = {"key": f"/{segment.name}", "offset": 0, "byte_size": segment.size}
    return Question("register_shared_memory", segment.name, body=body)


def unregistration(name: str) -> Question:
    """Ask the server to let go of a segment."""
    return Question("unregister_shared_memory", name)


def cuda_registration(memory: CudaMemory) -> Question:
    """Ask the server to map memory of a GPU."""
    handle = {"b64": base64.b64encode(memory.handle).decode()}
    body = {"raw_handle": handle, "device_id": memory.device, "byte_size": memory.size}
    return Question("register_cuda_shared_memory", memory.name, body=body)


def cuda_unregistration(name: str) -> Question:
    """Ask the server to let go of memory of a GPU."""
    return Question("unregister_cuda_shared_memory", name)


async def sweep(ask: Ask, listing: Question, let_go: LetGo, deadline: Deadline) -> None:
    """Remove what crashed clients have left, and have the server let go of it, as far as it lists that."""
    for name in abandoned():
        remove(name)
    try:
        names = [str(entry["name"]) for entry in await ask(listing, deadline)]
        for name in _ownerless(names):
            await let_go(name, deadline)
    except (ClientError, LookupError, TypeError) as error:
        _LOG.debug("regions of crashed clients are left registered: %s", error)


def is_known_already(error: InvalidRequest | InferenceFailed) -> bool:
    """Tell whether it was registered by another thread, or with an answer that was lost: the names are ours alone."""
    return "already in manager" in error.reason  # over gRPC with a code of its own, ALREADY_EXISTS (Triton 24.10)


def is_gone(error: ServerUnavailable | DeadlineExceeded) -> bool:
    """Tell whether nothing listens any more: what the server has mapped went with it."""
    return not error.sent and "Connection refused" in error.reason  # the kernel's words, over HTTP and gRPC


def is_unknown(error: InvalidRequest | InferenceFailed) -> bool:
    """Tell whether nothing ran, since the server has started anew."""
    words = "shared memory region" if isinstance(error, InvalidRequest) else "Unable to find shared memory region"
    return words in error.reason  # the latter is NOT_FOUND, 404, to Triton (24.10)


def is_outgrown(error: InvalidRequest | InferenceFailed) -> bool:
    """Tell whether an output didn't fit into its place, which Triton (24.10) sees after the model has run."""
    return "shared memory size specified with the request for output" in error.reason


def _ownerless(names: Sequence[str]) -> list[str]:
    """List the regions of ours whose segments are gone; the memory itself is freed once the server lets go of it."""
    return [name for name in names if name.startswith(PREFIX) and not Path("/dev/shm", name).exists()]
