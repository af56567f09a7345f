"""The compose.yaml that `tritonforge image --compose` writes: its server, and its Prometheus, which scrapes it."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from container_support import BASE, Building, program, run
from repositories import ECHO, infer, until, write_model

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = pytest.mark.docker

TAG = "tritonforge-test-composed:latest"
PROMETHEUS = """
FROM {base}
COPY prometheus /usr/bin/prometheus
ENTRYPOINT ["/usr/bin/prometheus", "--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/tmp/data"]
"""


@pytest.fixture(scope="module")
def composed(
    docker: DockerClient,
    tmp_path_factory: pytest.TempPathFactory,
    building: Building,
) -> Iterator[Path]:
    """The folder that the command writes, its image built; on free ports, and with the Prometheus that there is.

    The models are mounted, and only their owner can read them. Their path has what compose and Docker read in a way of
    their own.
    """
    models, folder = (tmp_path_factory.mktemp("composed") / name for name in ("mod:els $HOME", "compose"))
    write_model(models, "echo", ECHO)
    models.chmod(0o700)
    with building():
        run("image", str(models), "--tag", TAG, "--base", BASE, "--no-bake", "--no-project-requirements",
            "--compose", str(folder))  # fmt: skip
    compose = yaml.safe_load((folder / "compose.yaml").read_text())
    for service in compose["services"].values():
        service["ports"] = [f"127.0.0.1::{port.rpartition(':')[2]}" for port in service["ports"]]
    (folder / "compose.yaml").write_text(yaml.safe_dump(compose))
    stand_in = not docker.images.list(name := compose["services"]["prometheus"]["image"])
    if stand_in:  # Debian's program, in place of an image that can't be pulled here
        with building():
            docker.images.build(fileobj=context(Path(program("prometheus"))), custom_context=True, tag=name, rm=True)
    yield folder
    for image in (TAG, name) if stand_in else (TAG,):
        docker.images.remove(image, force=True)


def context(prometheus: Path) -> io.BytesIO:
    """What the stand-in's image is built from."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        dockerfile = PROMETHEUS.format(base=BASE).encode()
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(dockerfile)
        archive.addfile(entry, io.BytesIO(dockerfile))
        archive.add(prometheus.resolve(), "prometheus")
    content.seek(0)
    return content


@pytest.fixture
def compose(composed: Path) -> Iterator[list[str]]:
    """How compose is called, once its services are up; and down again in the end."""
    command = [program("docker-compose"), "-p", "tritonforge-test", "-f", str(composed / "compose.yaml")]
    try:
        up = subprocess.run([*command, "up", "-d"], capture_output=True, text=True, timeout=180, check=False)
        assert up.returncode == 0, up.stderr
        yield command
    finally:
        subprocess.run([*command, "down", "-v", "-t", "10"], capture_output=True, timeout=120, check=True)


def url(compose: list[str], service: str, port: int) -> str:
    """Find where a port of a service is on loopback."""
    done = subprocess.run(
        [*compose, "port", service, str(port)], capture_output=True, text=True, timeout=60, check=True
    )
    return f"http://{done.stdout.strip()}"


def test_prometheus_scrapes_the_server_that_compose_starts(compose: list[str], docker: DockerClient) -> None:
    server, prometheus = url(compose, "triton", 8000), url(compose, "prometheus", 9090)
    assert infer(server, "echo", 3.0) == 3.0

    def value(query: str) -> str | None:
        with urllib.request.urlopen(f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}") as answer:
            found = json.load(answer)["data"]["result"]
        return str(found[0]["value"][1]) if found else None

    until(lambda: value('up{job="triton"}') == "1", "the first scrape")
    until(lambda: value('nv_inference_request_success{model="echo"}') == "1", "a scrape after the request")
    containers = docker.containers.list(filters={"label": "com.docker.compose.project=tritonforge-test"})
    assert sorted(one.labels["com.docker.compose.service"] for one in containers) == ["prometheus", "triton"]


def test_compose_leaves_nothing(compose: list[str], docker: DockerClient) -> None:
    subprocess.run([*compose, "down", "-v", "-t", "10"], capture_output=True, timeout=120, check=True)
    ours = {"label": "com.docker.compose.project=tritonforge-test"}
    assert docker.containers.list(all=True, filters=ours) == []
    assert docker.networks.list(filters=ours) == [] == docker.volumes.list(filters=ours)
