"""What a measurement can fail with."""

from __future__ import annotations

from tritonforge.errors import TritonForgeError

__all__ = ["GeneratorGone", "InvalidLoad", "LoadFailed", "ServerGone"]


class InvalidLoad(TritonForgeError, ValueError):
    """The settings can't be carried out: what was found, and what is allowed."""


class LoadFailed(TritonForgeError):
    """The server can't be reached or tells nothing of its models, or the generator itself failed."""


class ServerGone(LoadFailed):
    """The server went away amid a load: nobody listens any more where somebody did."""


class GeneratorGone(LoadFailed):
    """A process of the generator's own ended amid a load: killed, say, as the kernel does where memory is short."""
