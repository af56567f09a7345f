"""Files with a seal, a first line that has the hash of the others: what somebody has changed is told by it."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["is_as_written", "seal"]

_SEAL = "# Written by `tritonforge image`, which writes over no changes: sha256 {digest} of what follows.\n"


def seal(content: str) -> str:
    """Put the seal before a content, whose comments begin with `#`."""
    return _SEAL.format(digest=hashlib.sha256(content.encode()).hexdigest()) + content


def is_as_written(path: Path) -> bool:
    """Tell whether a file is as it was sealed; one that was never is not.

    Raises:
        OSError: it can't be read.
    """
    found = path.read_bytes()
    _, _, content = found.partition(b"\n")
    return found == seal(content.decode(errors="replace")).encode()
