"""A server that runs already: asked and controlled over HTTP, never started or ended from here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tritonforge.server.asking.catalog import ServedModel, describe_models
from tritonforge.server.asking.control import load_model, unload_model
from tritonforge.server.asking.health import Health, ModelState
from tritonforge.server.asking.statistics import ModelStatistics, read_statistics
from tritonforge.server.asking.status import ModelStatus, model_statuses
from tritonforge.server.errors import ServerError
from tritonforge.server.protocol import Runtime, Server

__all__ = ["AttachedServer", "attach"]

_POLL_S = 0.2
_HEADER = "triton-key"
_HTTP = 8000


class AttachedServer(Server):
    """A Triton server at an address: see `Server.attached`."""

    runtime: Runtime = "attached"

    def __init__(self, url: str, *, grpc_url: str = "", metrics_url: str = "", key: str = "", name: str = "") -> None:
        self.name = name
        self._url, self._grpc_url, self._metrics_url = url.rstrip("/"), grpc_url, metrics_url
        parts = urlsplit(self._url)
        if parts.scheme != "http" or not parts.hostname:
            raise ServerError(f"{url} is no address of a server; give its HTTP port: http://host:8000")
        if parts.netloc.endswith(":"):
            raise ServerError(f"{url} has no port behind its colon, as of a variable that isn't set")
        headers = {_HEADER: key} if key else None
        self._health = Health(parts.hostname, parts.port or _HTTP, headers, grpc_address=_plain_address(grpc_url))

    @property
    def http_url(self) -> str:
        """The address for HTTP clients."""
        return self._url

    @property
    def grpc_url(self) -> str:
        """The address for gRPC clients; empty where it isn't known."""
        return self._grpc_url

    @property
    def metrics_url(self) -> str:
        """The page of metrics; empty where it isn't known."""
        return self._metrics_url

    def status(self) -> list[ModelStatus]:
        """Give how each model is doing.

        Raises:
            ServerError: the server doesn't answer, or wants a key.
        """
        return model_statuses(self, self._health)

    def answers(self) -> bool:
        """Tell whether the server is there, ready or not."""
        return self._health.status() is not None

    def models(self) -> list[ModelState]:
        """List each version of each model, with its state."""
        return self._health.models()

    def describe(self) -> list[ServedModel]:
        """List each version of each model, with its state, kind and signature, as the server tells them."""
        return describe_models(self.models(), Path(), self._health)

    def statistics(self) -> list[ModelStatistics]:
        """Give each loaded version's counts and times since it was loaded."""
        return read_statistics(self._health)

    def load(self, model: str) -> None:
        """Load a model of the server's repository, and wait until it serves."""
        load_model(self._health, model)

    def unload(self, model: str) -> None:
        """Unload a model; requests under way finish."""
        unload_model(self._health, model)

    def reload(self, model: str) -> None:
        """Load what the server's repository now has of a model.

        Triton does nothing where no file that it sees has changed, and says neither: the `statistics()` of what was
        loaded count anew. A server of `up` sees a tree of its own, which only `tritonforge reload --name` renews.
        """
        load_model(self._health, model)

    def log_text(self) -> str:
        """Give nothing: another's log isn't to be had over HTTP."""
        return ""

    def follow_log(self) -> Iterator[str]:
        """Give nothing: another's log isn't to be had over HTTP."""
        return iter(())

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait until nobody answers, and give 0, as the exit code isn't known; None if the time was up first."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while self._health.status() is not None:
            if deadline is not None and time.monotonic() >= deadline:
                return None
            time.sleep(_POLL_S)
        return 0

    def stop(self) -> int:
        """Leave the server running; give 0."""
        return 0


def attach(url: str, *, grpc_url: str, metrics_url: str, key: str) -> AttachedServer:
    """Reach a server: what `Server.attached` does."""
    server = AttachedServer(url, grpc_url=grpc_url, metrics_url=metrics_url, key=key)
    if not server.answers():
        raise ServerError(f"nobody answers at {url}; is the server up, and is this its HTTP port?")
    return server


def _plain_address(url: str) -> str:
    parts = urlsplit(url)
    return parts.netloc if parts.scheme == "grpc" else ""
