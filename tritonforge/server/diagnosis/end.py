"""The error of a server that ended by itself, told from its log."""

from __future__ import annotations

from tritonforge.server.diagnosis.hints import hint_for_end
from tritonforge.server.diagnosis.log import last_words
from tritonforge.server.errors import ServerDied

__all__ = ["server_died"]


def server_died(code: int, log: str, *, said: str | None = None, information: bool = True) -> ServerDied:
    """Make the error. Its last words are of what was `said` of late, if that is not the whole log; see `last_words`."""
    said = log if said is None else said
    return ServerDied(code, last_words(said, information=information), log=log, hint=hint_for_end(said))
