"""A client that is forked while its threads are in the middle of something."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tritonforge.client.reliable.replicas import Breaker, Replicas
from tritonforge.client.reliable.retries import Budget, Retries
from tritonforge.client.shared_memory.arena import Arena

PATIENCE_S = 20.0


def in_child(check: Callable[[], Any]) -> bool:
    """Fork, and tell whether the child came to its end: whatever it waits for, it is not waited for."""
    child = os.fork()
    if not child:
        try:
            check()
            os._exit(0)
        except BaseException:
            os._exit(1)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def budget() -> tuple[Any, Callable[[], Any]]:
    spent = Budget(Retries())
    return spent._lock, spent.spend


def replicas() -> tuple[Any, Callable[[], Any]]:
    both = Replicas(["a", "b"])
    return both._lock, both.choose


def arena() -> tuple[Any, Callable[[], Any]]:
    memory = Arena()
    return memory._lock, memory.close


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # CPython 3.12
@pytest.mark.parametrize("make", [budget, replicas, arena])
def test_a_lock_that_another_thread_holds_is_none_of_the_childs(make):
    lock, use = make()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait(PATIENCE_S)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(PATIENCE_S)
        assert in_child(use)
    finally:
        done.set()
        thread.join()


def test_calls_and_probes_of_the_parent_are_none_of_the_childs():
    both = Replicas(["a", "b"], "least_in_flight", Breaker(failures=1, pause_s=0.001))
    busy = both.choose()
    assert busy is not None
    failing = both.choose()
    assert failing is not None
    both.done(failing)
    both.failed(failing)
    deadline = time.monotonic() + PATIENCE_S
    while not both.due():  # its probe is under way from now on
        assert time.monotonic() < deadline

    def check() -> None:
        assert [replica.in_flight for replica in both.all] == [0, 0]
        assert both.due() == [failing]

    assert in_child(check)
    assert busy.in_flight == 1
    assert both.due() == []
