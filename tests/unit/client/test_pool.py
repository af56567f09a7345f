"""The pool of connections: each has a place, idle or in use, and there are no more than places."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from tritonforge.client.connections import pool as pool_module
from tritonforge.client.connections.pool import Place, Pool
from tritonforge.client.deadline import Deadline
from tritonforge.client.http import transport as http
from tritonforge.client.http.answer import NoneFree
from tritonforge.client.http.transport import HttpTransport
from tritonforge.client.message import Request, Tensor
from tritonforge.client.options import ConnectionOptions
from tritonforge.client.url import parse_url

from .fault_server import FaultServer, answer_all

LONG_S, SHORT_S = 20.0, 0.01


class Line:
    """A connection that is quiet as long as the test says so."""

    def __init__(self, deadline: Deadline) -> None:
        self.quiet, self.closed = True, False

    def is_quiet(self) -> bool:
        return self.quiet

    def close(self) -> None:
        self.closed = True


def taken(pool: Pool[Any]) -> Place[Any]:
    """Take a place, and connect where it has no connection."""
    place = pool.take(Deadline(LONG_S))
    if place.connection is None:
        pool.connect(place, Deadline(LONG_S))
    return place


def is_full(pool: Pool[Any]) -> bool:
    try:
        pool.drop(pool.take(Deadline(SHORT_S)))
    except NoneFree:
        return True
    return False


def test_the_last_used_connection_is_taken_first():
    pool: Pool[Any] = Pool(Line, 3)
    first, second = taken(pool), taken(pool)
    pool.give_back(first)
    pool.give_back(second)
    assert [taken(pool), taken(pool)] == [second, first]
    assert not is_full(pool)


def test_one_that_is_no_longer_quiet_is_closed_and_frees_its_place():
    pool: Pool[Any] = Pool(Line, 1)
    place = taken(pool)
    line = place.connection
    pool.give_back(place)
    line.quiet = False
    place = taken(pool)
    other = place.connection
    assert line.closed
    assert other is not line
    assert is_full(pool)
    pool.drop(place)
    assert other.closed
    assert not is_full(pool)


def test_a_place_for_a_new_connection_leaves_the_idle_ones_while_there_are_places():
    pool: Pool[Any] = Pool(Line, 2)
    place = taken(pool)
    line = place.connection
    pool.give_back(place)
    kept = [pool.take_free(Deadline(LONG_S))]
    assert not line.closed
    kept.append(pool.take_free(Deadline(LONG_S)))  # the idle one's
    assert line.closed
    assert [place.connection for place in kept] == [None, None]
    assert is_full(pool)
    with pytest.raises(NoneFree, match="max_connections=2"):
        pool.take_free(Deadline(SHORT_S))


def test_renewed_and_closed_connections_free_their_places():
    pool: Pool[Any] = Pool(Line, 2)
    places = [taken(pool), taken(pool)]
    lines = [place.connection for place in places]
    for place in places:
        pool.give_back(place)
    pool.renew()
    assert all(line.closed for line in lines)
    place = taken(pool)
    late = place.connection
    pool.close()
    pool.give_back(place)
    assert late.closed
    kept = [taken(pool), taken(pool)]
    assert [place.connection.closed for place in kept] == [False, False]


def test_a_place_that_nobody_holds_any_more_is_made_anew_and_its_connection_closed():
    pool: Pool[Any] = Pool(Line, 1)
    place = taken(pool)
    line = place.connection
    assert is_full(pool)
    del place
    assert line.closed
    place = taken(pool)
    assert place.connection is not line
    assert is_full(pool)


def interrupt_at(step: int, files: set[str]) -> Callable[[FrameType, str, Any], Any]:
    """Raise KeyboardInterrupt at one of the steps of the interpreter that these files take."""
    steps = iter(range(step + 1))

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        frame.f_trace_opcodes = True
        if event in ("opcode", "return") and next(steps, None) == step:
            raise KeyboardInterrupt
        return trace

    return trace


def test_an_exception_of_a_signal_handler_takes_no_place_whenever_it_comes():
    """It may come between any two steps, and there is one place."""
    request = Request("m", (Tensor("x", "FP32", (2,), bytes(8)),))
    files = {str(http.__file__), str(pool_module.__file__)}
    with FaultServer(answer_all) as server:
        transport = HttpTransport(parse_url(server.url), ConnectionOptions(max_connections=1))
        interrupted, over = 0, False
        gc.collect()  # what earlier tests left: an interruption of its end would be nobody's
        while not over:
            sys.settrace(interrupt_at(interrupted, files))
            try:
                transport.infer(request, Deadline(LONG_S))
                over = True
            except KeyboardInterrupt:
                interrupted += 1
            finally:
                sys.settrace(None)
            assert transport.infer(request, Deadline(LONG_S)).version == "3", interrupted
        assert interrupted > 50
        transport.close()
