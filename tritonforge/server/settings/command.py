"""The command line and the environment that tritonserver is started with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from tritonforge.server.installed.installation import Installation
from tritonforge.server.settings.server import ServerSettings

__all__ = ["SLEEPING_THREADS", "served_ports", "server_command", "server_environment", "server_flags"]

_QUANTILES = "0.5:0.05,0.9:0.01,0.99:0.001"
"""Each with the error that its estimate may have."""

SLEEPING_THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_THREAD_TIMEOUT": "4"}
"""Let the threads of OpenMP (torch, scikit-learn) and of NumPy's OpenBLAS sleep while they wait for work.

By default they spin, and take the cores that the server and the models beside need; with all of those busy, each waits
for threads that spin in its place.
"""


def server_command(
    installation: Installation, repository: Path, backends: Path, *, settings: ServerSettings, shared_memory: str
) -> list[str]:
    """Build the server's command line; `shared_memory` is the prefix of its segments' names in /dev/shm.

    The server stays up where a model fails to load: its index then tells why.
    """
    return [
        str(installation.server),
        f"--model-repository={repository}",
        f"--backend-directory={backends}",
        f"--cache-directory={installation.caches}",
        f"--backend-config=python,shm-region-prefix-name={shared_memory}",
        f"--http-port={settings.http_port}",
        f"--grpc-port={settings.grpc_port}",
        f"--metrics-port={settings.metrics_port}",
        f"--http-address={settings.host}",
        f"--grpc-address={settings.host}",
        f"--metrics-address={settings.host}",
        *server_flags(settings),
    ]


def server_flags(settings: ServerSettings) -> list[str]:
    """Give the flags for what the settings say, but for paths, addresses and ports, which differ in a container.

    Flags at tritonserver's own default are left out. Those of restricted APIs hold the key: see `Workspace.launch`.
    """
    return [
        "--exit-on-error=false",
        f"--exit-timeout-secs={max(1, int(settings.exit_timeout_s))}",
        f"--log-verbose={settings.log_verbose}",
        *_log_flags(settings),
        *([] if settings.ready_with_all else ["--strict-readiness=false"]),
        *_control_flags(settings),
        *(["--disable-auto-complete-config"] if settings.auto_complete is False else []),
        *([f"--cache-config=local,size={int(settings.cache_size)}"] if settings.cache_size else []),
        *(["--rate-limit=execution_count"] if settings.rate_limiter else []),
        *(f"--rate-limit-resource={resource}" for resource in settings.rate_limit_resources),
        *_metrics_flags(settings),
        *_trace_flags(settings),
        *_tls_flags(settings),
        *_restriction_flags(settings),
        *settings.extra_args,
    ]


def _log_flags(settings: ServerSettings) -> list[str]:
    off = {"info": (), "warning": ("info",), "error": ("info", "warning")}[settings.log_level]
    form = [] if settings.log_format == "default" else [f"--log-format={settings.log_format}"]
    return [*(f"--log-{level}=false" for level in off), *form]


def _control_flags(settings: ServerSettings) -> list[str]:
    if settings.model_control == "none":
        return []
    mode = f"--model-control-mode={settings.model_control}"
    if settings.model_control == "poll":
        return [mode, f"--repository-poll-secs={settings.poll_s}"]
    chosen = ("*",) if settings.load_models is None else settings.load_models
    return [mode, *(f"--load-model={name}" for name in chosen)]


def _metrics_flags(settings: ServerSettings) -> list[str]:
    if not settings.metrics:
        return ["--allow-metrics=false"]
    if not settings.latency_quantiles:
        return []
    return ["--metrics-config=summary_latencies=true", f"--metrics-config=summary_quantiles={_QUANTILES}"]


def _trace_flags(settings: ServerSettings) -> list[str]:
    if not settings.trace_endpoint:
        return []
    return [
        "--trace-config=mode=opentelemetry",
        f"--trace-config=opentelemetry,url={settings.trace_endpoint}",
        f"--trace-config=rate={settings.trace_rate}",
        "--trace-config=level=TIMESTAMPS",
    ]


def _tls_flags(settings: ServerSettings) -> list[str]:
    if settings.grpc_tls_cert is None:
        return []
    flags = [f"--grpc-server-cert={settings.grpc_tls_cert}", f"--grpc-server-key={settings.grpc_tls_key}"]
    if settings.grpc_tls_root is None:
        return ["--grpc-use-ssl=true", *flags]
    return ["--grpc-use-ssl-mutual=true", f"--grpc-root-cert={settings.grpc_tls_root}", *flags]


def _restriction_flags(settings: ServerSettings) -> list[str]:
    """Restrict APIs on both ports; to gRPC the header is `triton-grpc-protocol-` and its name (24.10)."""
    if not settings.restricted or settings.restricted_key is None:
        return []
    restricted = f"{','.join(settings.restricted)}:{settings.restricted_header}"
    value = settings.restricted_key.get_secret_value()
    return [f"--{flag}={restricted}={value}" for flag in ("http-restricted-api", "grpc-restricted-protocol")]


def server_environment(base: Mapping[str, str], *, python: Path | None, libraries: Iterable[Path]) -> dict[str, str]:
    """Give a copy of an environment in which the stub finds its Python and both find their libraries.

    `python` is the folder that leads PATH, if any. What `base` says of how threads wait, it says.
    """
    environment = {**SLEEPING_THREADS, **base}
    if python is not None:
        environment["PATH"] = _lead([python], environment.get("PATH", os.defpath))
    environment["LD_LIBRARY_PATH"] = _lead(libraries, environment.get("LD_LIBRARY_PATH", ""))
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # for the processes that models start; stubs heed prelude.py
    environment["PYTHONUNBUFFERED"] = "1"
    if python is not None:
        environment["TRITONFORGE_SCRATCH"] = str(python.parent)  # where models' environments put their stand-ins
    return environment


def served_ports(settings: ServerSettings) -> set[int]:
    """Give the ports that the server will listen on: all three, but for services that are switched off."""
    ports = {settings.http_port}
    if settings.serves_grpc:
        ports.add(settings.grpc_port)
    if settings.metrics:
        ports.add(settings.metrics_port)
    return ports


def _lead(folders: Iterable[Path], rest: str) -> str:
    """Put folders before a search path."""
    return os.pathsep.join([*(str(folder) for folder in folders), *([rest] if rest else [])])
