"""What the client needs of a way to reach a server."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Protocol

from tritonforge.client.deadline import Deadline
from tritonforge.client.message import Request, Response

__all__ = ["Json", "Transport"]

Json = dict[str, Any]
"""An object of the server's, with the names that Triton's HTTP API gives."""


class Transport(Protocol):
    """One way to reach one server, usable from several threads.

    Each method is over by its deadline, and raises nothing but the errors of `tritonforge.client.errors`.
    """

    @property
    def url(self) -> str:
        """The server's URL, for people."""

    def infer(self, request: Request, deadline: Deadline) -> Response:
        """Send one request and wait for its one response."""

    def stream(self, request: Request, deadline: Deadline) -> Generator[Response, None, None]:
        """Send one request and give each response as it comes. Closing the generator cancels the request."""

    def server_ready(self, deadline: Deadline) -> bool:
        """Tell whether the server says that it is ready."""

    def model_ready(self, model: str, version: str, deadline: Deadline) -> bool:
        """Tell whether the model is loaded."""

    def server_metadata(self, deadline: Deadline) -> Json:
        """Fetch the server's name, version and extensions."""

    def model_metadata(self, model: str, version: str, deadline: Deadline) -> Json:
        """Fetch a model's versions, inputs and outputs."""

    def model_config(self, model: str, version: str, deadline: Deadline) -> Json:
        """Fetch a model's configuration, as completed by the server."""

    def index(self, deadline: Deadline) -> list[Json]:
        """Fetch the models of the repository and their states."""

    def close(self) -> None:
        """Close all connections."""
