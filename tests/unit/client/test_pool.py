"""The pool of connections: each has a place, idle or in use, and there are no more than places."""

from __future__ import annotations

from typing import Any

import pytest

from tritonforge.client.deadline import Deadline
from tritonforge.client.http_answer import NoneFree
from tritonforge.client.pool import Pool

LONG_S, SHORT_S = 20.0, 0.01


class Line:
    """A connection that is quiet as long as the test says so."""

    def __init__(self, deadline: Deadline) -> None:
        self.quiet, self.closed = True, False

    def is_quiet(self) -> bool:
        return self.quiet

    def close(self) -> None:
        self.closed = True


def taken(pool: Pool[Any]) -> Line:
    """Take a connection, a new one where none is idle."""
    line = pool.take(Deadline(LONG_S)) or pool.fresh(Deadline(LONG_S))
    assert isinstance(line, Line)
    return line


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
    line = taken(pool)
    pool.give_back(line)
    line.quiet = False
    other = taken(pool)
    assert line.closed
    assert other is not line
    assert is_full(pool)
    pool.drop(other)
    assert other.closed
    assert not is_full(pool)


def test_a_place_for_a_new_connection_leaves_the_idle_ones_while_there_are_places():
    pool: Pool[Any] = Pool(Line, 2)
    line = taken(pool)
    pool.give_back(line)
    pool.take_place(Deadline(LONG_S))
    assert not line.closed
    pool.take_place(Deadline(LONG_S))  # the idle one's
    assert line.closed
    assert is_full(pool)
    with pytest.raises(NoneFree, match="max_connections=2"):
        pool.take_place(Deadline(SHORT_S))


def test_renewed_and_closed_connections_free_their_places():
    pool: Pool[Any] = Pool(Line, 2)
    lines = [taken(pool), taken(pool)]
    for line in lines:
        pool.give_back(line)
    pool.renew()
    assert all(line.closed for line in lines)
    late = taken(pool)
    pool.close()
    pool.give_back(late)
    assert late.closed
    assert [taken(pool).closed, taken(pool).closed] == [False, False]
