"""The compose.yaml of an image, and the scrape settings of its Prometheus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tritonforge.image import check_compose, composing
from tritonforge.server.docker.container import Image
from tritonforge.server.repository.shared_memory import SharedMemory

IMAGE = Image("fraud:1", user="10001:10001")


def compose(folder: Path, *, models: Path | None = None, gpus: bool = False, size: int = 64 << 20) -> dict[str, Any]:
    """Write the files into a folder, and give the services."""
    with composing(folder, image=IMAGE, shared_memory=SharedMemory(size, 1), models=models, gpus=gpus):
        pass
    services: dict[str, Any] = yaml.safe_load((folder / "compose.yaml").read_text())["services"]
    return services


def test_compose_runs_the_server_and_a_prometheus_that_scrapes_it(tmp_path: Path) -> None:
    services = compose(tmp_path / "a" / "b", models=tmp_path, gpus=True, size=96 << 20)
    server = services["triton"]
    assert server["image"] == "fraud:1"
    assert server["shm_size"] == 96 << 20
    assert all(port.startswith("127.0.0.1:") for port in server["ports"])
    assert server["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]
    assert [service["logging"]["options"]["max-size"] for service in services.values()] == ["64m", "64m"]
    scraped = yaml.safe_load((tmp_path / "a" / "b" / "prometheus.yml").read_text())["scrape_configs"][0]
    assert scraped["static_configs"] == [{"targets": ["triton:8002"]}]
    (scrape_file,) = services["prometheus"]["volumes"]
    assert (scrape_file["source"], scrape_file["target"]) == ("./prometheus.yml", "/etc/prometheus/prometheus.yml")


@pytest.mark.parametrize("name", ["a:b", "a$HOME", "${a", "a b'\"\\"])
def test_models_are_mounted_whatever_is_in_their_path(tmp_path: Path, name: str) -> None:
    """Compose splits short forms at colons, and reads variables everywhere."""
    models = tmp_path / name
    models.mkdir()
    (mount,) = compose(tmp_path / "compose", models=models)["triton"]["volumes"]
    assert mount["source"].replace("$$", "$") == str(models)
    assert mount["source"].count("$") == 2 * name.count("$")
    assert (mount["type"], mount["target"], mount["read_only"]) == ("bind", "/models", True)


def test_models_that_are_mounted_are_read_by_somebody_who_can(tmp_path: Path) -> None:
    """As by `up --runtime docker`: root's own files need root, where others can't read them."""
    owner = tmp_path.stat()
    for mode, roots in ((0o755, None), (0o700, "0:0")):
        tmp_path.chmod(mode)
        server = compose(tmp_path, models=tmp_path)["triton"]
        assert server.get("user") == (f"{owner.st_uid}:{owner.st_gid}" if owner.st_uid else roots)
        for written in ("compose.yaml", "prometheus.yml"):
            (tmp_path / written).unlink()


def test_a_baked_image_mounts_nothing(tmp_path: Path) -> None:
    server = compose(tmp_path)["triton"]
    assert "volumes" not in server
    assert "deploy" not in server


def test_what_was_written_may_be_written_anew(tmp_path: Path) -> None:
    compose(tmp_path)
    check_compose(tmp_path)
    assert compose(tmp_path, size=96 << 20)["triton"]["shm_size"] == 96 << 20


@pytest.mark.parametrize("name", ["compose.yaml", "prometheus.yml"])
@pytest.mark.parametrize("change", ["edited", "another's", "link", "folder"])
def test_what_somebody_has_changed_is_not_written_over(tmp_path: Path, name: str, change: str) -> None:
    compose(tmp_path)
    path = tmp_path / name
    if change == "edited":
        path.write_text(path.read_text() + "# mine\n")
    else:
        path.unlink()
    if change == "another's":
        path.write_text("services: {}\n")
    elif change == "link":
        path.symlink_to(tmp_path / "elsewhere")
    elif change == "folder":
        path.mkdir()
    with pytest.raises(ValueError, match=rf"{name} isn't as it was written, and what .*; name another folder, or move"):
        check_compose(tmp_path)


def test_there_is_no_folder_where_there_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for folder in (tmp_path / "file", tmp_path / "file" / "deep", tmp_path / "link"):
        with pytest.raises(ValueError, match="is no folder; name another"):
            check_compose(folder)


def test_nothing_is_written_if_the_image_fails(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError),
        composing(tmp_path / "new", image=IMAGE, shared_memory=SharedMemory(64 << 20, 1), models=None, gpus=False),
    ):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
