"""From a URL to the transport that reaches it. What speaks gRPC is imported when a URL of it is first used."""

from __future__ import annotations

from tritonforge.client.options import ConnectionOptions
from tritonforge.client.transport import AsyncTransport, Transport
from tritonforge.client.url import parse_url

__all__ = ["open_async_transport", "open_transport"]


def open_transport(url: str, options: ConnectionOptions) -> Transport:
    """Make the transport that blocks. Nothing connects yet. Raise ValueError where the URL is not one."""
    endpoint = parse_url(url)
    if endpoint.speaks_grpc:
        from tritonforge.client.grpc.transport import GrpcTransport

        return GrpcTransport(endpoint, options)
    from tritonforge.client.http.transport import HttpTransport

    return HttpTransport(endpoint, options)


def open_async_transport(url: str, options: ConnectionOptions) -> AsyncTransport:
    """Make the transport for event loops. Nothing connects yet. Raise ValueError where the URL is not one."""
    endpoint = parse_url(url)
    if endpoint.speaks_grpc:
        from tritonforge.client.grpc.async_transport import AsyncGrpcTransport

        return AsyncGrpcTransport(endpoint, options)
    from tritonforge.client.http.async_transport import AsyncHttpTransport

    return AsyncHttpTransport(endpoint, options)
