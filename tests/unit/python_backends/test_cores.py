"""How many cores a copy of a model may count on."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tritonforge_runtime import cores

HERE = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("groups", "available", "expected"),
    [
        ([], 4, 4),
        ([{"count": 1}], 4, 4),
        ([{"count": 2}], 4, 2),
        ([{"count": 2}, {"count": 1}], 7, 2),
        ([{"count": 8}], 4, 1),
        ([{"kind": "KIND_CPU"}], 2, 2),
    ],
)
def test_cores_are_divided_among_copies(groups: list[dict[str, object]], available: int, expected: int) -> None:
    assert cores.share(json.dumps({"instance_group": groups}), available) == expected


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", HERE), ("50000 100000", 1), ("100000 100000", 1), (f"{HERE}50000 100000", HERE), ("", HERE)],
)
def test_a_containers_limit_counts(tmp_path: Path, quota: str, expected: int) -> None:
    (tmp_path / "cpu.max").write_text(quota)

    assert cores.available(str(tmp_path / "cpu.max")) == expected


def test_no_limit_is_known(tmp_path: Path) -> None:
    assert cores.available(str(tmp_path / "none")) == HERE


@pytest.mark.parametrize(("before", "after"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_that_wait_sleep(monkeypatch: pytest.MonkeyPatch, before: str | None, after: str) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if before:
        monkeypatch.setenv("OMP_WAIT_POLICY", before)

    cores.leave_while_waiting()

    assert os.environ["OMP_WAIT_POLICY"] == after
