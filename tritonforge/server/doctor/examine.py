"""Judging the facts: each check says what it found, and where something is amiss, how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tritonforge.errors import Diagnostic, Where
from tritonforge.server.doctor.surroundings import Surroundings
from tritonforge.server.machine import SHARED_MEMORY, Machine
from tritonforge.server.preflight import check_machine, check_named_server, check_shared_memory
from tritonforge.server.settings.certificates import check_certificates
from tritonforge.server.settings.checks import check_cache_size, check_ports
from tritonforge.server.settings.server import PORTS, ServerSettings
from tritonforge.server.settings.writable import state_unusable

__all__ = ["Checkup", "Status", "examine"]

Status = Literal["ok", "absent", "warning", "error"]
"""`absent`: not here, and not needed unless it is asked for. `error`: `tritonforge up` doesn't work."""

_LITTLE_DISK = 1 << 30
_LITTLE_MEMORY = 1 << 30

_SERVER_CODES = {
    "TF502": "system",
    "TF503": "glibc",
    "TF504": "embedded server",
    "TF505": "embedded server",
    "TF506": "NumPy",
    "TF507": "libpython",
    "TF511": "Python",
}
"""The check that each of a server's preconditions belongs to."""


@dataclass(frozen=True, slots=True)
class Checkup:
    """One thing looked at: what was found, and the findings with their mends where it isn't as it should be."""

    name: str
    status: Status
    found: str
    diagnostics: tuple[Diagnostic, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON has it; `where` is a file, a variable or a setting, empty where it is the machine itself."""
        findings = [
            {"code": each.code, "where": str(each.where), "message": each.message, "hint": each.hint}
            for each in self.diagnostics
        ]
        return {"name": self.name, "status": self.status, "found": self.found, "findings": findings}


def examine(
    machine: Machine, surroundings: Surroundings, settings: ServerSettings | Sequence[Diagnostic]
) -> list[Checkup]:
    """Judge a machine as one to serve on with these settings, in the order in which to mend it.

    In their place may be what is wrong with them; then nobody knows which ports are meant.
    """
    return [
        *_machine(machine),
        *_settings(settings, surroundings.own_ports),
        *(check(machine, surroundings) for check in _CHECKS),
    ]


def _machine(machine: Machine) -> Iterator[Checkup]:
    """Judge what the embedded server can't start without."""
    wheel = machine.installation
    found = {
        "system": f"{machine.system} on {machine.processor}",
        "glibc": machine.glibc or "none",
        "Python": f"{machine.python}, {machine.executable or 'program unknown'}",
        "libpython": ", ".join(f"{each.path} ({each.version})" for each in machine.libpythons) or "none",
        "NumPy": machine.numpy or "not installed",
        "embedded server": str(wheel.root) if wheel else "not installed",
    }
    amiss = check_machine(machine)
    for name, text in found.items():
        findings = tuple(each for each in amiss if _SERVER_CODES[each.code] == name)
        yield Checkup(name, "error" if findings else "ok", text, findings)


def _settings(settings: ServerSettings | Sequence[Diagnostic], own: Mapping[int, str]) -> Iterator[Checkup]:
    if isinstance(settings, ServerSettings):
        amiss = [*check_named_server(settings), *check_cache_size(settings), *check_certificates(settings)]
        yield _judged("settings", "can't be as they are" if amiss else "none is wrong", amiss)
        yield _ports(settings, own)
    else:
        yield _judged("settings", "can't be as they are", settings)
        yield Checkup("ports", "absent", "not looked at, as the settings say which")


def _ports(settings: ServerSettings, own: Mapping[int, str]) -> Checkup:
    """Judge the ports; those that a server of the user's own has are fine: `up` works here, as it shows."""
    found = ", ".join(str(getattr(settings, name)) for name in PORTS)
    taken = {name: own[port] for name in PORTS if (port := getattr(settings, name)) in own}
    servers = ", ".join(dict.fromkeys(taken.values()))
    held = f"; your server {servers} has them: a second one needs others" if taken else ""
    amiss = check_ports(settings.replace(**dict.fromkeys(taken, 0)))
    return _judged("ports", f"{found} on {settings.host}{held}", amiss)


def _shared_memory(machine: Machine, surroundings: Surroundings) -> Checkup:
    free = machine.shared_memory_bytes
    found = "not writable" if free is None else f"{_size(free)} free in {SHARED_MEMORY}"
    return _judged("shared memory", found, list(check_shared_memory(machine, models=1)))


def _disk(machine: Machine, surroundings: Surroundings) -> Checkup:
    diagnostics = [
        Diagnostic(
            "TF541",
            Where(file=str(folder)),
            f"{_size(free)} free; a build is written beside the repository that it replaces, and a log grows",
            "free some space, or set TMPDIR to another disk's folder",
        )
        for folder, free in surroundings.free_bytes.items()
        if free < _LITTLE_DISK
    ]
    found = ", ".join(f"{_size(free)} free in {folder}" for folder, free in surroundings.free_bytes.items())
    return _judged("disk", found, diagnostics, "warning")


def _state(machine: Machine, surroundings: Surroundings) -> Checkup:
    folder, problem = surroundings.state, surroundings.state_problem
    return _judged("state folder", str(folder), [state_unusable(folder, problem)] if problem else [])


def _memory(machine: Machine, surroundings: Surroundings) -> Checkup:
    free = surroundings.memory_bytes
    diagnostics = []
    if free < _LITTLE_MEMORY:
        message = f"{_size(free)} of memory available; the server takes about 100 MB, and each Python instance its own"
        diagnostics.append(Diagnostic("TF542", Where(), message, "end other programs, or use fewer instances"))
    return _judged("memory", f"{_size(free)} available", diagnostics, "warning")


def _runners(machine: Machine, surroundings: Surroundings) -> Checkup:
    missing = [name for name, version in surroundings.libraries.items() if not version]
    found = ", ".join(f"{name} {version or 'not installed'}" for name, version in surroundings.libraries.items())
    diagnostics = []
    if missing:
        models = " and ".join({"onnxruntime": "ONNX", "torch": "TorchScript"}.get(name, name) for name in missing)
        message = f"{models} models can't run on the embedded server without {' and '.join(missing)}"
        hint = f"{machine.executable} -m pip install {' '.join(missing)}"
        diagnostics.append(Diagnostic("TF543", Where(), message, hint))
    return _judged("runners", found, diagnostics, "absent")


def _gpus(machine: Machine, surroundings: Surroundings) -> Checkup:
    gpus = surroundings.gpus
    if gpus.problem:
        count = f"{gpus.present} NVIDIA GPU{'s'[: gpus.present != 1]} on the bus" if gpus.present else "NVIDIA's driver"
        message = f"found {count}, but none can be used: {gpus.problem}"
        hint = "install NVIDIA's driver (525 or later, for CUDA 12) and its nvidia-smi, or load it: modprobe nvidia"
        return _judged("GPUs", count, [Diagnostic("TF544", Where(), message, hint)], "warning")
    if not gpus.usable:
        return Checkup("GPUs", "absent", "none; models run on the CPU")
    return Checkup("GPUs", "ok", f"{', '.join(gpus.usable)}, driver {gpus.driver}")


def _docker(machine: Machine, surroundings: Surroundings) -> Checkup:
    docker = surroundings.docker
    if docker.problem:
        diagnostic = Diagnostic("TF530", Where(), docker.problem, docker.hint)
        return _judged("Docker", "none; only --runtime docker needs it", [diagnostic], "absent")
    if surroundings.gpus.usable and not docker.gpus:
        message = "this Docker can't give containers the machine's GPUs"
        hint = "install NVIDIA's container toolkit, then: nvidia-ctk runtime configure && systemctl restart docker"
        return _judged("Docker", docker.version, [Diagnostic("TF545", Where(), message, hint)], "warning")
    return Checkup("Docker", "ok", f"{docker.version}{', with GPUs' if docker.gpus else ''}")


def _judged(name: str, found: str, diagnostics: Sequence[Diagnostic], otherwise: Status = "error") -> Checkup:
    """Give a check's result; `otherwise` is what it is where there is anything to say."""
    return Checkup(name, otherwise if diagnostics else "ok", found, tuple(diagnostics))


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 1 << 30 else f"{count / 2**20:.1f} MiB"


_CHECKS: tuple[Callable[[Machine, Surroundings], Checkup], ...] = (
    _shared_memory,
    _disk,
    _state,
    _memory,
    _runners,
    _gpus,
    _docker,
)
