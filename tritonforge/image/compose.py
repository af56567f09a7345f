"""compose.yaml: the image's server, and a Prometheus that reads its metrics."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tritonforge.build.write import temporary_folder
from tritonforge.image.seal import is_as_written, seal
from tritonforge.server.docker.container import Image, container_user
from tritonforge.server.docker.settings import DockerSettings
from tritonforge.server.repository.shared_memory import SharedMemory

__all__ = ["check_compose", "composing"]

_COMPOSE, _SCRAPE = "compose.yaml", "prometheus.yml"
_PROMETHEUS = "prom/prometheus:v2.53.0"
_PORTS = (8000, 8001, 8002)


def check_compose(folder: Path) -> None:
    """See that there can be a compose.yaml, and a prometheus.yml, in a folder, with nothing lost by that.

    Raises:
        ValueError: it is no folder, or one of them is there, and not as it was written.
    """
    there = _nearest(folder)
    if not there.is_dir():
        raise ValueError(f"{there} is no folder; name another")
    for path in (folder / _COMPOSE, folder / _SCRAPE):
        if path.is_symlink() or (path.exists() and not (path.is_file() and is_as_written(path))):
            raise ValueError(
                f"{path} isn't as it was written, and what was changed in it would be lost; "
                "name another folder, or move it away: changes of yours may lie beside it, in compose.override.yaml"
            )


@contextmanager
def composing(
    folder: Path, *, image: Image, shared_memory: SharedMemory, models: Path | None, gpus: bool
) -> Iterator[None]:
    """Have compose.yaml, and prometheus.yml beside it, in a folder after the block; if that fails, nothing of them.

    `models` are mounted where the image has none. The server then runs as a user that can read them, chosen as
    `up --runtime docker` does. Ports are published on 127.0.0.1 only. The server runs without privileges on a root
    that it can't write to.

    Raises:
        OSError: they can't be written there, which is known before the block.
    """
    import yaml

    with temporary_folder(_nearest(folder) / "compose") as new:
        for name, content in (
            (_COMPOSE, _literal(_services(image, shared_memory, models, gpus=gpus))),
            (_SCRAPE, _scrape()),
        ):
            (new / name).write_text(seal(yaml.safe_dump(content, sort_keys=False)), encoding="utf-8")
        yield
        folder.mkdir(parents=True, exist_ok=True)
        for written in new.iterdir():
            written.replace(folder / written.name)


def _nearest(folder: Path) -> Path:
    """Give the folder itself, or what is there above it."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path))


def _services(image: Image, shared_memory: SharedMemory, models: Path | None, *, gpus: bool) -> dict[str, Any]:
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
        server["volumes"] = [_mounted(str(models), "/models")]
        if (user := container_user(models, DockerSettings(), image)) != image.user:
            server["user"] = user
    if gpus:
        devices = [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]
        server["deploy"] = {"resources": {"reservations": {"devices": devices}}}
    prometheus = {
        "image": _PROMETHEUS,
        "restart": "unless-stopped",
        "ports": ["127.0.0.1:9090:9090"],
        "volumes": [_mounted(f"./{_SCRAPE}", "/etc/prometheus/prometheus.yml")],
        "logging": _bounded_log(),
        "depends_on": {"triton": {"condition": "service_healthy"}},
    }
    return {"services": {"triton": server, "prometheus": prometheus}}


def _scrape() -> dict[str, Any]:
    return {
        "global": {"scrape_interval": "5s"},
        "scrape_configs": [{"job_name": "triton", "static_configs": [{"targets": ["triton:8002"]}]}],
    }


def _mounted(source: str, target: str) -> dict[str, Any]:
    """Mount a path for reading, whatever is in its name; options of `bind` are unknown to Debian 12's compose."""
    return {"type": "bind", "source": source, "target": target, "read_only": True}


def _literal(value: Any) -> Any:
    """Have compose take texts as they are: a `$` would be a variable's beginning."""
    if isinstance(value, dict):
        return {key: _literal(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_literal(each) for each in value]
    return value.replace("$", "$$") if isinstance(value, str) else value


def _bounded_log() -> dict[str, Any]:
    """Have Docker keep no more than so much of a log."""
    return {"driver": "json-file", "options": {"max-size": "64m", "max-file": "2"}}
