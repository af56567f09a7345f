"""One transport as clients have it, with observers, against a server of the test's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tritonforge.client.assembly import assemble_blocking
from tritonforge.client.concurrency.blocking import finish
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import ServerUnavailable
from tritonforge.client.message import Request, Response, Tensor
from tritonforge.client.observing.observation import Observer
from tritonforge.client.reliable.replicas import Breaker
from tritonforge.client.reliable.retries import Retries

REQUEST = Request("m", (Tensor("x", "FP32", (2, 3), bytes(24)),), version="03", id="r-7")

BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy"
"""A proxy's words of the server behind it."""


class Line:
    """What sends requests and questions."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport

    def infer(self, request: Request = REQUEST) -> Response:
        return finish(self.transport.infer(request, Deadline(20)))

    def infer_at_last(self, request: Request = REQUEST) -> Response:
        """Ask again while the server is being left alone, for 20 s at most."""
        deadline = Deadline(20)
        while deadline.left_s():
            with suppress(ServerUnavailable):
                return self.infer(request)
        raise AssertionError  # left_s() raises first


@contextmanager
def observed(
    url: str | list[str], *observers: Observer, breaker: Breaker | None = None, attempts: int = 3
) -> Iterator[Line]:
    """Give a line whose calls are observed."""
    line = assemble_blocking(
        url,
        None,
        retries=Retries(attempts=attempts, first_delay_s=0),
        breaker=breaker,
        balance="round_robin",
        shared_memory=False,
        observers=observers,
    )
    try:
        yield Line(line.transport)
    finally:
        finish(line.transport.close())
