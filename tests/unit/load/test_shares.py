"""Whether this machine lets a load have its connections."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from tritonforge.load import InvalidLoad, Load, ModelLoad, Settings
from tritonforge.load.settings_check import check_settings
from tritonforge.load.workers import shares as sharing
from tritonforge.load.workers.shares import most_processes, share_of

FEW = (200, 300)
"""The soft and the hard limit of open files."""


def settings(kind: str, value: float, url: str = "http://127.0.0.1:1", **more: object) -> Settings:
    return Settings(url, (ModelLoad("m"),), (Load(kind, value),), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fits",
    [
        settings("concurrency", 236),
        settings("concurrency", 472, processes=2),
        settings("concurrency", 10_000, "grpc://127.0.0.1:1"),
        settings("rate", 1e6, max_in_flight=236),
    ],
)
def test_what_the_hard_limit_allows_is_taken(fits: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: FEW)
    check_settings(fits)


@pytest.mark.parametrize(
    ("too_many", "words"),
    [
        (
            settings("concurrency", 237),
            r"concurrency 237 .* 301 open files, and may have 300: .*ulimit -n.*processes=2",
        ),
        (settings("concurrency", 999, processes=4), r"needs 314 open files.*processes=5"),
        (settings("rate", 1, max_in_flight=256), r"rate 1 has 256 connections"),
        (settings("concurrency", 40_000), r"40000 connections, and this machine has 28232 ports"),
    ],
)
def test_more_connections_than_this_machine_allows_are_refused_beforehand(
    too_many: Settings, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "range").write_text("32768\t60999\n")
    monkeypatch.setattr(sharing, "_PORTS", tmp_path / "range")
    monkeypatch.setattr(resource, "getrlimit", lambda _: FEW)
    with pytest.raises(InvalidLoad, match=words):
        check_settings(too_many)


def test_a_limit_that_is_none_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sharing, "_PORTS", tmp_path / "nowhere")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (200, resource.RLIM_INFINITY))
    check_settings(settings("concurrency", 40_000))


def test_no_process_is_without_a_request() -> None:
    assert most_processes(Load("concurrency", 2), settings("concurrency", 2, processes=3)) == 2
    assert most_processes(Load("rate", 2), settings("rate", 2, processes=3, requests=1)) == 1
    assert most_processes(Load("replay", 2), settings("replay", 2, processes=3, times_s=(0.0, 1.0))) == 2
    assert [share_of(7, part, 3) for part in range(3)] == [3, 2, 2]
