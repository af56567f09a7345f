"""Each fault of a machine is found when it is planted, and nothing else is."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tritonforge.errors import Diagnostic, Where
from tritonforge.server import ServerSettings
from tritonforge.server.doctor import Checkup, Surroundings, examine, look_around, try_server
from tritonforge.server.doctor.surroundings import Docker, Gpus, find_gpus
from tritonforge.server.machine import Machine, probe
from tritonforge.server.state.records import claim, save

HEALTHY = Surroundings(
    free_bytes={Path("/models"): 50 << 30},
    memory_bytes=16 << 30,
    docker=Docker(version="28.0.1"),
    libraries={"onnxruntime": "1.32.0", "torch": "2.13.0"},
)
ONE_GPU = Gpus(present=1, usable=("NVIDIA L4",), driver="550.54")


@pytest.fixture(scope="module")
def machine() -> Machine:
    return probe()


def settings(**given: Any) -> ServerSettings:
    return ServerSettings(**({"http_port": 0, "grpc_port": 0, "metrics_port": 0} | given))


def faults(checkups: list[Checkup]) -> dict[str, tuple[str, list[str]]]:
    """Give what isn't fine: the status and the codes by the check's name."""
    return {
        checkup.name: (checkup.status, [diagnostic.code for diagnostic in checkup.diagnostics])
        for checkup in checkups
        if checkup.diagnostics or checkup.status in ("warning", "error")
    }


def test_nothing_is_found_on_a_healthy_machine(machine: Machine) -> None:
    checkups = examine(machine, HEALTHY, settings())
    assert faults(checkups) == {}
    assert {checkup.name: checkup.status for checkup in checkups}["GPUs"] == "absent"
    assert all(checkup.found for checkup in checkups)


@pytest.mark.parametrize(
    ("facts", "check", "code"),
    [
        ({"glibc": "2.31"}, "glibc", "TF503"),
        ({"installation": None}, "embedded server", "TF504"),
        ({"numpy": "2.4.1"}, "NumPy", "TF506"),
        ({"numpy": ""}, "NumPy", "TF506"),
        ({"libpythons": ()}, "libpython", "TF507"),
        ({"executable": ""}, "Python", "TF511"),
        ({"shared_memory_bytes": None}, "shared memory", "TF510"),
        ({"shared_memory_bytes": 1 << 20}, "shared memory", "TF510"),
        ({"system": "Darwin", "processor": "arm64"}, "system", "TF502"),
    ],
)
def test_what_keeps_the_server_from_starting_is_an_error(
    machine: Machine, facts: dict[str, Any], check: str, code: str
) -> None:
    found = faults(examine(replace(machine, **facts), HEALTHY, settings()))
    assert found == {check: ("error", [code])}


def test_json_has_the_place_of_each_finding(machine: Machine) -> None:
    wrong = [Diagnostic("TF501", Where(subject="TRITONFORGE_LOG_LEVEL"), "found 'loud'", "say less")]
    found, ports = (one.as_dict() for one in examine(machine, HEALTHY, wrong) if one.name in ("settings", "ports"))
    finding = {"code": "TF501", "where": "TRITONFORGE_LOG_LEVEL", "message": "found 'loud'", "hint": "say less"}
    assert found["findings"] == [finding]
    assert (ports["status"], ports["found"]) == ("absent", "not looked at, as the settings say which")


@pytest.mark.parametrize(
    ("facts", "check", "status", "code"),
    [
        ({"free_bytes": {Path("/models"): 300 << 20}}, "disk", "warning", "TF541"),
        ({"memory_bytes": 200 << 20}, "memory", "warning", "TF542"),
        ({"libraries": {"onnxruntime": "", "torch": "2.13.0"}}, "runners", "absent", "TF543"),
        ({"gpus": Gpus(present=1, problem="there is no nvidia-smi")}, "GPUs", "warning", "TF544"),
        ({"gpus": ONE_GPU}, "Docker", "warning", "TF545"),
        ({"docker": Docker(problem="no Docker daemon answers", hint="start it")}, "Docker", "absent", "TF530"),
    ],
)
def test_what_a_server_can_do_without_is_no_error(
    machine: Machine, facts: dict[str, Any], check: str, status: str, code: str
) -> None:
    found = faults(examine(machine, replace(HEALTHY, **facts), settings()))
    assert found == {check: (status, [code])}


def test_a_state_folder_that_can_not_be_made_is_an_error(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nope")
    around = look_around()
    surroundings = replace(HEALTHY, state=around.state, state_problem=around.state_problem)
    assert faults(examine(machine, surroundings, settings())) == {"state folder": ("error", ["TF514"])}


def test_a_trial_without_room_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("tritonforge.server.launch.assemble_backends", fail)
    assert [each.code for each in try_server().diagnostics] == ["TF515"]


def test_gpus_that_docker_can_hand_on_are_fine(machine: Machine) -> None:
    surroundings = replace(HEALTHY, gpus=ONE_GPU, docker=Docker(version="28.0.1", gpus=True))
    checkups = {checkup.name: checkup for checkup in examine(machine, surroundings, settings())}
    assert checkups["GPUs"].found == "NVIDIA L4, driver 550.54"
    assert checkups["Docker"].found == "28.0.1, with GPUs"


def test_a_taken_port_is_named_with_the_process_that_has_it(machine: Machine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        checkups = examine(machine, HEALTHY, settings(grpc_port=port))
    assert faults(checkups) == {"ports": ("error", ["TF508"])}
    text = next(str(diagnostic) for checkup in checkups for diagnostic in checkup.diagnostics)
    assert f"port {port} (grpc): is taken by process" in text


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"tritonserver": "/nosuch"}, "TF504"),
        ({"grpc_tls_cert": "/nosuch.pem", "grpc_tls_key": "/nosuch.key"}, "TF501"),
    ],
)
def test_settings_that_up_would_refuse_are_an_error(machine: Machine, wrong: dict[str, Any], code: str) -> None:
    name, (status, codes) = faults(examine(machine, HEALTHY, settings(**wrong))).popitem()
    assert (name, status, set(codes)) == ("settings", "error", {code})


def test_ports_that_a_server_of_ours_has_are_no_fault(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is named; a port that somebody else has beside it is a fault as ever."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    with socket.socket() as ours, socket.socket() as others:
        for each in (ours, others):
            each.bind(("127.0.0.1", 0))
            each.listen()
        port, other = ours.getsockname()[1], others.getsockname()[1]
        record = claim("blue", fallback="", runtime="embedded", detached=True)
        save(replace(record, ready=True, http_url=f"http://127.0.0.1:{port}"))
        around = replace(HEALTHY, own_ports=look_around().own_ports)
        found = examine(machine, around, settings(http_port=port))
        beside = examine(machine, around, settings(http_port=port, grpc_port=other))
    assert faults(found) == {}
    ports = next(checkup for checkup in found if checkup.name == "ports")
    assert ports.found.endswith("on 127.0.0.1; your server blue has them: a second one needs others")
    assert faults(beside) == {"ports": ("error", ["TF508"])}


def test_a_daemon_that_does_not_answer_is_told_with_its_mend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    docker = look_around().docker
    assert docker.version == ""
    assert docker.problem.startswith("no Docker daemon answers")
    assert "DOCKER_HOST" in docker.hint


@pytest.fixture
def bus(tmp_path: Path) -> Path:
    """A PCI bus with an NVIDIA GPU and a network card of NVIDIA's."""
    for name, kind in (("0000:01:00.0", "0x030200"), ("0000:02:00.0", "0x020000")):
        device = tmp_path / "bus" / name
        device.mkdir(parents=True)
        (device / "vendor").write_text("0x10de\n")
        (device / "class").write_text(f"{kind}\n")
    return tmp_path / "bus"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is all of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def write_nvidia_smi(folder: Path, script: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_a_gpu_without_a_driver_is_seen_on_the_bus(bus: Path, programs: Path, tmp_path: Path) -> None:
    assert find_gpus(bus, tmp_path / "none") == Gpus(present=1, problem="there is no nvidia-smi")


def test_no_gpu_is_no_problem(programs: Path, tmp_path: Path) -> None:
    assert find_gpus(tmp_path / "none", tmp_path / "none") == Gpus()


def test_a_driver_that_fails_is_told_in_its_own_words(bus: Path, programs: Path, tmp_path: Path) -> None:
    write_nvidia_smi(programs, "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18")
    found = find_gpus(bus, tmp_path / "none")
    assert found == Gpus(present=1, problem="nvidia-smi: Failed to initialize NVML: Driver/library version mismatch")


def test_the_gpus_are_those_that_nvidia_smi_lists(bus: Path, programs: Path, tmp_path: Path) -> None:
    write_nvidia_smi(programs, "echo 'NVIDIA L4, 550.54'; echo 'NVIDIA L4, 550.54'")
    assert find_gpus(bus, tmp_path / "none") == Gpus(present=2, usable=("NVIDIA L4", "NVIDIA L4"), driver="550.54")
