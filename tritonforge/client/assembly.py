"""From a client's URLs and settings to the one transport of its calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from tritonforge.client.calls.fast_path import AsyncDirectTransport, Direct, DirectTransport
from tritonforge.client.concurrency.blocking import Blocking
from tritonforge.client.connect import open_async_transport, open_transport
from tritonforge.client.observing.observation import ObservedTransport, Observer
from tritonforge.client.options import ConnectionOptions
from tritonforge.client.reliable.replicas import Balance, Breaker
from tritonforge.client.reliable.retries import Retries
from tritonforge.client.reliable.transport import Beside, Reliability, ReliableTransport, in_task, in_thread
from tritonforge.client.shared_memory.arena import Arena
from tritonforge.client.shared_memory.farewell import close_at_exit
from tritonforge.client.shared_memory.transport import SharedMemoryTransport, is_loopback
from tritonforge.client.tensors.arguments import require_setting
from tritonforge.client.tokens import TokenTransport
from tritonforge.client.transport import AsyncTransport, Transport
from tritonforge.client.url import Endpoint, parse_url

__all__ = ["Assembly", "assemble_async", "assemble_blocking"]


@dataclass(frozen=True, slots=True)
class Assembly:
    """The transport of a client's calls; of its parts, the one with the servers, and those that can share memory.

    `direct`, and `async_direct` in an event loop, is what a call can go by that needs no more of them than the
    connections.
    """

    transport: AsyncTransport
    reliable: ReliableTransport
    shared: tuple[SharedMemoryTransport, ...]
    direct: Direct[DirectTransport] | None = None
    async_direct: Direct[AsyncDirectTransport] | None = None


def assemble_blocking(
    url: str | Sequence[str],
    options: ConnectionOptions | None,
    *,
    retries: Retries | None,
    breaker: Breaker | None,
    balance: Balance,
    shared_memory: bool,
    observers: Sequence[Observer] = (),
) -> Assembly:
    """Assemble what blocks. Raise ValueError for what is no URL, or no such setting."""

    opened: list[Transport] = []

    def connect(one: str, settings: ConnectionOptions) -> AsyncTransport:
        opened.append(open_transport(one, settings))
        transport = Blocking(opened[-1])
        return TokenTransport(transport, settings.token, blocking=True) if callable(settings.token) else transport

    reliability = _reliability(retries, breaker, balance)
    assembly = _assemble(url, options, reliability, connect, in_thread, observers, shared_memory=shared_memory)
    for transport in assembly.shared:
        close_at_exit(transport)
    only: object = None if len(opened) > 1 or observers or _asks_token(options) else opened[0]
    if not isinstance(only, DirectTransport):
        return assembly
    return replace(assembly, direct=Direct(only, assembly.reliable, _arena(assembly)))


def assemble_async(
    url: str | Sequence[str],
    options: ConnectionOptions | None,
    *,
    retries: Retries | None,
    breaker: Breaker | None,
    balance: Balance,
    shared_memory: bool,
    observers: Sequence[Observer] = (),
) -> Assembly:
    """Assemble what is for event loops. Raise ValueError for what is no URL, or no such setting."""
    opened: list[AsyncTransport] = []

    def connect(one: str, settings: ConnectionOptions) -> AsyncTransport:
        opened.append(open_async_transport(one, settings))
        return TokenTransport(opened[-1], settings.token) if callable(settings.token) else opened[-1]

    reliability = _reliability(retries, breaker, balance)
    assembly = _assemble(url, options, reliability, connect, in_task(), observers, shared_memory=shared_memory)
    only: object = None if len(opened) > 1 or observers or _asks_token(options) else opened[0]
    if not isinstance(only, AsyncDirectTransport):
        return assembly
    return replace(assembly, async_direct=Direct(only, assembly.reliable, _arena(assembly)))


def _reliability(retries: Retries | None, breaker: Breaker | None, balance: Balance) -> Reliability:
    require_setting("retries", retries, Retries, "retries=Retries(attempts=3)")
    require_setting("breaker", breaker, Breaker, "breaker=Breaker(failures=5)")
    return Reliability(retries or Retries(), breaker or Breaker(), balance)


def _assemble(
    url: str | Sequence[str],
    options: ConnectionOptions | None,
    reliability: Reliability,
    connect: Callable[[str, ConnectionOptions], AsyncTransport],
    beside: Beside,
    observers: Sequence[Observer],
    *,
    shared_memory: bool,
) -> Assembly:
    require_setting("shared_memory", shared_memory, bool, "shared_memory=False")
    require_setting("options", options, ConnectionOptions, "options=ConnectionOptions(token=…)")
    if not isinstance(url, (str, Iterable)):
        raise TypeError(f"url is {url!r}; a client takes one, such as http://127.0.0.1:8000, or a list of them")
    urls = [url] if isinstance(url, str) else list(url)
    if not urls:
        raise ValueError("there is no URL; a client takes one, or a list of them")
    transports: list[AsyncTransport] = []
    shared = []
    settings = options or ConnectionOptions()
    endpoints = [parse_url(one) for one in urls]
    for one, endpoint in zip(urls, endpoints, strict=True):
        transport = connect(one, replace(settings, tls=None) if _is_beside_tls(endpoint, endpoints) else settings)
        if shared_memory and is_loopback(endpoint.host):
            transport = SharedMemoryTransport(transport, may_repeat=_may_repeat(reliability.retries))
            shared.append(transport)
        transports.append(transport)
    reliable = ReliableTransport(transports, reliability, beside, observers)
    transport = ObservedTransport(reliable, observers) if observers else reliable
    return Assembly(transport, reliable, tuple(shared))


def _is_beside_tls(endpoint: Endpoint, endpoints: Sequence[Endpoint]) -> bool:
    """Tell whether settings of TLS are for the servers of the other protocol alone: Triton has none over HTTP."""
    beside = [other for other in endpoints if other.secure]
    return bool(beside) and not any(other.speaks_grpc == endpoint.speaks_grpc for other in beside)


def _asks_token(options: ConnectionOptions | None) -> bool:
    return options is not None and callable(options.token)


def _arena(assembly: Assembly) -> Arena | None:
    return assembly.shared[0].arena if assembly.shared else None


def _may_repeat(retries: Retries) -> bool:
    return retries.attempts > 1 and (retries.budget > 0 or retries.burst >= 1)
