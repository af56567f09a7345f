"""What a container's limit of memory is blamed for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tritonforge.errors import Diagnostic, Where
from tritonforge.server.docker.memory import blame_memory, container_shortage, ended_by_memory, short_of_memory

DIED = Diagnostic("TF523", Where("m", 0, "m"), "the process that runs its Python died", "look at the log")
OTHER = Diagnostic("TF520", Where("n", 0, "n"), "failed to load")
WORDS = "the container ran out of memory, its limit is 150 MiB; give it more: --docker memory=…"

ENDED, ENDED_S = "2024-10-01T12:00:00.123456789Z", 1727784000

VERSION_2 = b"low 0\nhigh 0\nmax 12\noom 1\noom_kill 2\noom_group_kill 0\n"
VERSION_1 = b"cat: memory.events: No such file or directory\noom_kill_disable 0\nunder_oom 0\noom_kill 1\n"
NONE = VERSION_2.replace(b"oom_kill 2", b"oom_kill 0")


class Answer(NamedTuple):
    output: bytes


@dataclass
class Container:
    """One with the kernel's counts, and a limit."""

    counts: bytes = b""
    limit: int = 150 << 20
    killed_at: tuple[int, ...] = ()
    id: str = "0f"

    @property
    def attrs(self) -> dict[str, Any]:
        state = {"OOMKilled": bool(self.killed_at), "FinishedAt": ENDED}
        return {"State": state, "HostConfig": {"Memory": self.limit}}

    @property
    def client(self) -> Container:
        return self

    def events(self, *, filters: dict[str, str], since: int, until: int, decode: bool) -> Iterator[dict[str, Any]]:
        assert (filters, decode) == ({"container": "0f", "event": "oom"}, True)
        yield from ({"time": time} for time in self.killed_at if since <= time <= until)

    def exec_run(self, command: list[str]) -> Answer:
        assert command[0] == "cat"
        return Answer(self.counts)


@pytest.mark.parametrize(
    ("counts", "limit", "hint"),
    [
        (VERSION_2, 150 << 20, WORDS),
        (VERSION_1, 150 << 20, WORDS),
        (VERSION_1, 0, "the machine ran out of memory"),
        (NONE, 150 << 20, DIED.hint),
        (b"OCI runtime exec failed", 150 << 20, DIED.hint),
    ],
)
def test_deaths_are_put_down_to_the_limit_where_the_kernel_counts_them(counts: bytes, limit: int, hint: str) -> None:
    died, other = blame_memory([DIED, OTHER], Container(counts, limit))  # type: ignore[arg-type]  # a stand-in
    assert other == OTHER
    assert (died.message, died.hint) == (DIED.message, hint)
    assert short_of_memory(Container(counts, limit)) == ("" if hint == DIED.hint else hint)  # type: ignore[arg-type]


def test_without_a_daemon_nothing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    assert container_shortage("0123456789abcdef") == ""


@pytest.mark.parametrize(
    ("killed_at", "words"), [((ENDED_S - 1,), WORDS), ((ENDED_S + 1,), WORDS), ((ENDED_S - 60,), ""), ((), "")]
)
def test_a_container_ended_for_want_of_memory_if_something_was_killed_for_that_then(
    killed_at: tuple[int, ...], words: str
) -> None:
    """Docker says of a container whether that was at any time of its life."""
    assert ended_by_memory(Container(killed_at=killed_at)) == words  # type: ignore[arg-type]  # a stand-in
