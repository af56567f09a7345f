"""What a forked child makes anew: locks that a thread of its parent held, counts of calls that go on there alone."""

from __future__ import annotations

import os
import weakref
from functools import cache
from typing import Protocol

__all__ = ["ForkAware", "watch_forks"]


class ForkAware(Protocol):
    """Something with a state that does not outlast a fork."""

    def after_fork(self) -> None:
        """Make that state anew, in the child: no other thread runs yet."""


_WATCHING: weakref.WeakSet[ForkAware] = weakref.WeakSet()


def watch_forks(thing: ForkAware) -> None:
    """Have it told in each child that this process forks, as long as it lives."""
    _register()
    _WATCHING.add(thing)


@cache  # a hook can't be taken back
def _register() -> None:
    os.register_at_fork(after_in_child=_renew)


def _renew() -> None:
    for thing in list(_WATCHING):
        thing.after_fork()
