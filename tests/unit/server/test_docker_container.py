"""What Docker is asked for, without Docker."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from docker.types import HostConfig

from tritonforge.server import PreflightError, Server, ServerSettings, SettingsError
from tritonforge.server.docker.client import connect
from tritonforge.server.docker.container import Image, container_arguments, container_user
from tritonforge.server.docker.settings import DockerSettings, check_image_name, release_image
from tritonforge.server.repository.reloading import Served
from tritonforge.server.repository.snapshot import take_snapshot
from tritonforge.server.settings.command import SLEEPING_THREADS

NVIDIA = Image("nvcr.io/nvidia/tritonserver:24.10-py3")


def arguments(
    repository: Path, docker: DockerSettings | None = None, *, image: Image = NVIDIA, **settings: Any
) -> dict[str, Any]:
    """Give the arguments of a container named `a` of NVIDIA's image."""
    return container_arguments(
        Served(repository, repository),
        ServerSettings.load({}, **settings),
        docker or DockerSettings(),
        image=image,
        name="a",
        launch="0f",
        guard="boot.1.2.3",
        shm_bytes=64 << 20,
    )


def test_a_release_names_nvidias_image() -> None:
    assert release_image("25.01") == "nvcr.io/nvidia/tritonserver:25.01-py3"


def test_ports_are_published_on_this_machine_alone(tmp_path: Path) -> None:
    ports = arguments(tmp_path, http_port=0, grpc_port=9001)["ports"]
    assert ports == {
        "8000/tcp": ("127.0.0.1", None),
        "8001/tcp": ("127.0.0.1", 9001),
        "8002/tcp": ("127.0.0.1", 8002),
    }
    assert arguments(tmp_path, public=True)["ports"]["8000/tcp"] == ("0.0.0.0", 8000)


def test_the_repository_is_mounted_for_reading(tmp_path: Path) -> None:
    made = arguments(tmp_path)
    assert made["mounts"] == [{"Type": "bind", "Source": str(tmp_path), "Target": "/models", "ReadOnly": True}]
    assert made["command"][:2] == ["tritonserver", "--model-repository=/models"]
    assert made["labels"] == {
        "io.tritonforge.server": "a",
        "io.tritonforge.repository": str(tmp_path),
        "io.tritonforge.launch": "0f",
        "io.tritonforge.guard": "boot.1.2.3",
    }
    assert made["cap_drop"] == ["ALL"]


def test_the_key_of_restricted_apis_is_not_in_the_command(tmp_path: Path) -> None:
    made = arguments(tmp_path, model_control="explicit", restricted_key="a-secret-of-ours")
    assert not any("a-secret-of-ours" in argument for argument in made["command"])
    assert any("a-secret-of-ours" in value for value in made["environment"].values())
    assert made["command"][:2] == ["python3", "/tritonforge/start.py"]
    mounted = {mount["Target"]: mount["Source"] for mount in made["mounts"]}
    assert all(Path(mounted[f"/tritonforge/{name}.py"]).is_file() for name in ("start", "hidden_arguments"))


def test_threads_sleep_while_they_wait_unless_the_image_says_otherwise(tmp_path: Path) -> None:
    assert arguments(tmp_path)["environment"].items() >= SLEEPING_THREADS.items()
    made = arguments(tmp_path, image=replace(NVIDIA, variables=frozenset({"OMP_WAIT_POLICY"})))["environment"]
    assert "OMP_WAIT_POLICY" not in made
    assert made["OPENBLAS_THREAD_TIMEOUT"] == "4"


def test_certificates_are_where_the_flags_name_them(tmp_path: Path) -> None:
    made = arguments(tmp_path, grpc_tls_cert=Path("/etc/tls/cert.pem"), grpc_tls_key=Path("/etc/tls/key.pem"))
    key = {"Type": "bind", "Source": "/etc/tls/key.pem", "Target": "/etc/tls/key.pem", "ReadOnly": True}
    assert made["mounts"][2] == key


def test_limits_are_handed_on(tmp_path: Path) -> None:
    made = arguments(tmp_path, DockerSettings.load(memory="2g", cpus="1.5"))
    assert made["mem_limit"] == 2 << 30
    assert made["nano_cpus"] == 1_500_000_000
    assert made["shm_size"] == 64 << 20


@pytest.mark.parametrize("policy", ["on-failure", "always", "unless-stopped"])
def test_a_restart_policy_is_handed_on(tmp_path: Path, policy: str) -> None:
    made = arguments(tmp_path, DockerSettings.load(restart=policy))
    assert made["restart_policy"] == {"Name": policy}
    assert "restart_policy" not in arguments(tmp_path)


@pytest.mark.parametrize(
    ("gpus", "asked", "count"),
    [
        ("all", {"count": -1}, 1),
        ("2", {"count": 2}, 2),
        ("0,2", {"device_ids": ["0", "2"]}, 2),
        ("device=2", {"device_ids": ["2"]}, 1),
        ("device=GPU-1f,GPU-2e", {"device_ids": ["GPU-1f", "GPU-2e"]}, 2),
    ],
)
def test_gpus_are_asked_for(tmp_path: Path, gpus: str, asked: dict[str, Any], count: int) -> None:
    """Docker's SDK takes what it is given; without the option no GPU is asked for."""
    docker = DockerSettings.load(gpus=gpus)
    made = arguments(tmp_path, docker)["device_requests"]
    assert made == [{**asked, "capabilities": [["gpu"]]}]
    assert docker.gpu_count == count
    assert HostConfig("1.41", device_requests=made)["DeviceRequests"][0]["Capabilities"] == [["gpu"]]
    assert arguments(tmp_path)["device_requests"] == []


def test_dockers_own_log_is_bounded_too(tmp_path: Path) -> None:
    made = arguments(tmp_path, log_limit="1MiB")["log_config"]
    assert made == {"type": "json-file", "config": {"max-size": "1048576", "max-file": "2"}}
    assert HostConfig("1.41", log_config=made)["LogConfig"]["Type"] == "json-file"
    assert "log_config" not in arguments(tmp_path, log_limit=0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"memory": "much"}, "memory: found 'much': write bytes, or a number with k, m or g: 512m"),
        ({"gpus": "some"}, "gpus: found 'some': write all, a number of GPUs, or ids: 0,2, or device=2 for one"),
        ({"image": "Bad Image"}, "image: found 'Bad Image': an image's name is lowercase, with a tag perhaps"),
        ({"image": ""}, "image: it is empty; leave it out for NVIDIA's"),
        ({"cpus": "0"}, "cpus: found '0': Input should be greater than or equal to 0.01"),
        ({"cpus": "0.0001"}, "cpus: found '0.0001': Input should be greater than or equal to 0.01"),
        ({"cpus": "inf"}, "cpus: found 'inf': a number is wanted"),
        ({"cpus": "nan"}, "cpus: found 'nan': a number is wanted"),
        ({"cpus": "1e300"}, "cpus: found '1e300': Input should be less than or equal to 1000000"),
        ({"memory": f"{1 << 33}g"}, "memory: found 9223372036854775808: Input should be less than 92233720368547758"),
        ({"memory": "1m"}, "memory: found 1048576 bytes: 6m is Docker's least"),
        ({"user": "a:b:c"}, "user: found 'a:b:c': write uid:gid, or names that the image has"),
        ({"memory": True}, "memory: found True: write how much"),
        ({"shm_size": True}, "shm_size: found True: write how much"),
        ({"cpus": True}, "cpus: found True: write how much"),
        ({"user": ""}, "user: it is empty; leave it out for one that can read the repository"),
        ({"user": "a:"}, "user: found 'a:'"),
        ({"user": "2147483648"}, "user: found '2147483648'"),
        ({"user": "-1"}, "user: found '-1': write uid:gid, or names that the image has"),
        ({"gpus": "0"}, "gpus: found '0', a number of GPUs: leave it out for none, or write device=0 for the first"),
        ({"cpus": "abc"}, "cpus: found 'abc': a number is wanted"),
        ({"ram": "2g"}, "ram: there is no such setting"),
        ({"bogus": "1"}, "bogus: there is no such setting\n  hint: the settings are image, gpus"),
        ({"gpu": "1"}, "gpu: there is no such setting\n  hint: did you mean gpus?"),
    ],
)
def test_settings_that_cant_be_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        DockerSettings.load(**given)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize("user", ["0", "1000:1000", "nobody", "www-data:www-data", "1000:docker", "2147483647"])
def test_users_are_taken_as_docker_takes_them(user: str) -> None:
    assert DockerSettings.load(user=user).user == user


def test_a_misspelled_setting_is_looked_for_among_the_containers_too(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        Server.docker(tmp_path, memry="1g", htpp_port=0, ram="2g")
    assert "memry: there is no such setting\n  hint: did you mean memory?" in str(refused.value)
    assert "htpp_port: there is no such setting\n  hint: did you mean http_port?" in str(refused.value)
    assert "ram: there is no such setting\n  hint: the settings are image, gpus, shm_size, memory" in str(refused.value)
    with pytest.raises(SettingsError, match=r"memory: there is no such setting"):
        Server.docker(tmp_path, docker=DockerSettings(), memory="1g")


@pytest.mark.parametrize(
    "name",
    [
        "fraud",
        "team/fraud:1.0-Rc",
        "localhost:5000/a__b/c",
        "Registry.example/a",
        "[::1]:5000/a",
        "a@sha256:" + 64 * "0",
    ],
)
def test_names_of_images_are_taken_as_docker_takes_them(name: str) -> None:
    assert DockerSettings.load(image=name).image == name
    if "@" in name:
        with pytest.raises(ValueError, match="an image's name"):
            check_image_name(name, built=True)
    else:
        check_image_name(name, built=True)


@pytest.mark.parametrize("name", ["Fraud", "a:", "a b", "-a", "a//b", "a:1:2", "a/b_", "a@sha256:1"])
def test_and_refused_as_it_refuses_them(name: str) -> None:
    with pytest.raises(SettingsError, match="an image's name is lowercase"):
        DockerSettings.load(image=name)


def test_the_user_is_one_that_can_read_the_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner, unless that is root; then the image's own, if the files are for all to read."""
    (tmp_path / "model" / "1").mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "model", tmp_path / "model" / "1"):
        folder.chmod(0o755)
    assert container_user(tmp_path, DockerSettings(user="7:7"), NVIDIA) == "7:7"
    owner = tmp_path.stat()
    if owner.st_uid:
        assert container_user(tmp_path, DockerSettings(), NVIDIA) == f"{owner.st_uid}:{owner.st_gid}"
        return
    assert container_user(tmp_path, DockerSettings(), NVIDIA) == "1000:1000"
    assert container_user(tmp_path, DockerSettings(), Image("ours", user="10001:10001")) == "10001:10001"
    for root in ("root", "0:0", "root:root"):
        assert container_user(tmp_path, DockerSettings(), Image("another", user=root)) == "1000:1000"
    (tmp_path / ".git").mkdir(mode=0o700)  # it is no model, and not served
    (tmp_path / "model" / "broken").symlink_to("nothing")
    assert container_user(tmp_path, DockerSettings(), NVIDIA) == "1000:1000"
    (tmp_path / "model").chmod(0o700)
    assert container_user(tmp_path, DockerSettings(), NVIDIA) == "0:0"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_private_repository_is_served_as_its_owner_whoever_starts_that(tmp_path: Path) -> None:
    """The snapshot that root makes of it is no reason to be root, and the owner can read it."""
    version = tmp_path / "models" / "m" / "1"
    version.mkdir(parents=True)
    (version / "model.py").write_text("pass")
    (version / "weights.bin").write_bytes(bytes(1 << 17))
    for path in (tmp_path / "models", *(tmp_path / "models").rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.chown(path, 1234, 1235)
    served = Served(tmp_path / "models", take_snapshot(tmp_path / "models", tmp_path / "served"))
    made = container_arguments(
        served,
        ServerSettings.load({}),
        DockerSettings(),
        image=NVIDIA,
        name="a",
        launch="0f",
        guard="",
        shm_bytes=64 << 20,
    )
    assert made["user"] == container_user(tmp_path / "models", DockerSettings(), NVIDIA) == "1234:1235"
    for path in (served.folder, *served.folder.rglob("*")):
        assert (path.stat().st_uid, path.stat().st_gid) == (1234, 1235)
    os.chown(version / "model.py", 0, 0)
    assert container_user(tmp_path / "models", DockerSettings(), NVIDIA) == "1234:1235"  # root alone can't, either
    for path in (tmp_path / "models", tmp_path / "models/m", version, version / "weights.bin"):
        path.chmod(0o755)
    assert container_user(tmp_path / "models", DockerSettings(), NVIDIA) == "0:0"


def test_a_daemon_that_is_absent_is_told_with_the_mend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(PreflightError, match="no Docker daemon answers") as absent:
        connect()
    assert "systemctl start docker" in str(absent.value)
