"""compose.yaml: the image's server, and a Prometheus that reads its metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tritonforge.server.docker_container import Image, container_user
from tritonforge.server.docker_settings import DockerSettings
from tritonforge.server.shared_memory import SharedMemory

__all__ = ["write_compose"]

_PROMETHEUS = "prom/prometheus:v2.53.0"
_PORTS = (8000, 8001, 8002)


def write_compose(folder: Path, *, image: Image, shared_memory: SharedMemory, models: Path | None, gpus: bool) -> None:
    """Write compose.yaml, and prometheus.yml beside it. `models` are mounted where the image has none.

    The server then runs as a user that can read them, chosen as `up --runtime docker` does. Ports are published on
    127.0.0.1 only. The server runs without privileges on a root that it can't write to.
    """
    import yaml

    server: dict[str, Any] = {
        "image": image.name,
        "init": True,
        "restart": "unless-stopped",
        "ports": [f"127.0.0.1:{port}:{port}" for port in _PORTS],
        "shm_size": shared_memory.size,
        "read_only": True,
        "tmpfs": ["/tmp"],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "stop_grace_period": "15s",
        "logging": _bounded_log(),
    }
    if models is not None:
        server["volumes"] = [f"{models}:/models:ro"]
        if (user := container_user(models, DockerSettings(), image)) != image.user:
            server["user"] = user
    if gpus:
        devices = [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]
        server["deploy"] = {"resources": {"reservations": {"devices": devices}}}
    prometheus = {
        "image": _PROMETHEUS,
        "restart": "unless-stopped",
        "ports": ["127.0.0.1:9090:9090"],
        "volumes": ["./prometheus.yml:/etc/prometheus/prometheus.yml:ro"],
        "logging": _bounded_log(),
        "depends_on": {"triton": {"condition": "service_healthy"}},
    }
    compose = {"services": {"triton": server, "prometheus": prometheus}}
    scrape = {
        "global": {"scrape_interval": "5s"},
        "scrape_configs": [{"job_name": "triton", "static_configs": [{"targets": ["triton:8002"]}]}],
    }
    for name, content in (("compose.yaml", compose), ("prometheus.yml", scrape)):
        (folder / name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _bounded_log() -> dict[str, Any]:
    """Have Docker keep no more than so much of a log."""
    return {"driver": "json-file", "options": {"max-size": "64m", "max-file": "2"}}
