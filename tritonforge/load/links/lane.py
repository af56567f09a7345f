"""A place for one request in flight, whatever the protocol."""

from __future__ import annotations

from typing import Protocol

from tritonforge.load.workers.job import Payload

__all__ = ["Events", "Lane", "Link"]


class Link(Protocol):
    """What a lane sends through: an HTTP connection of its own, or a share of an HTTP/2 one."""

    def send(self, lane: Lane, data: bytes) -> None:
        """Write a request; its end is told to the lane's events."""

    def abandon(self, lane: Lane) -> None:
        """Forget the request under way, so that nothing of it is told any more."""


class Lane:
    """A request in flight: when it was meant to start and did, and what it carries."""

    __slots__ = (
        *("busy", "first", "intended", "last", "link", "payload", "sent", "sequence", "started", "stream", "used"),
    )

    def __init__(self) -> None:
        self.link: Link | None = None
        self.payload: Payload | None = None
        self.intended = 0
        self.started = 0
        self.first = 0
        self.last = 0
        self.sequence = 0
        self.sent = 0
        self.stream = 0
        self.busy = False
        self.used = False  # whether anything was sent over its connection


class Events(Protocol):
    """Who is told what comes back."""

    def responded(self, lane: Lane) -> None:
        """Take note of one response of a stream."""

    def ended(self, lane: Lane, error: str, body: bytes | bytearray | memoryview) -> None:
        """Take note of the end of a request: `error` is empty, or `kind: words`."""

    def lost(self, lane: Lane, reason: str) -> None:
        """Take note that the connection of a lane is gone."""
