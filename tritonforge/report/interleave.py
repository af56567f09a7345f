"""Windows of several servers that take turns."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = ["take_turns"]

T = TypeVar("T")


def take_turns(
    measures: Sequence[Callable[[], T]],
    *,
    rounds: int,
    seed: int = 0,
    tell: Callable[[int, int], None] = lambda done, whole: None,
    windows: list[list[T]] | None = None,
) -> list[list[T]]:
    """Measure a window of each server in every round, in an order drawn by lot; give each server's windows.

    The lot is what makes the paired interval right: whatever the machine does to the first or the second of a round
    hits each server as often. A fixed A B B A would cancel a drift as well, but not what comes every fourth window.
    They go into `windows`, if that is given, as they come: an interrupted run has those until then.
    """
    drawn = random.Random(seed)
    windows = [] if windows is None else windows
    windows += [[] for _ in measures]
    for done in range(rounds):
        order = list(range(len(measures)))
        drawn.shuffle(order)
        for index in order:
            windows[index].append(measures[index]())
        tell(done + 1, rounds)
    return windows
