"""Servers that take turns: whole comparisons on simulated ones."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from tritonforge.load import Window
from tritonforge.report.compare import stalls, windows_of
from tritonforge.report.interleave import take_turns
from tritonforge.report.verdicts import Comparison, Rules, compare_points


def window(rate: float, p50_us: float = 1000.0, p99_us: float = 5000.0) -> Window:
    return Window(0.0, 1.0, round(rate), round(rate), 0, rate, p50_us, p50_us, p50_us, p50_us, p99_us, p99_us)


class Machine:
    """A machine that drifts and stutters, and two servers on it, the second slower by a factor."""

    def __init__(self, seed: int, slower: float) -> None:
        self.lot = random.Random(seed)
        self.drift = 0.0
        self.slower = slower

    def measure(self, factor: float) -> Window:
        self.drift = 0.9 * self.drift + 0.02 * self.lot.gauss(0, 1)
        stutter = 0.3 if self.lot.random() < 0.05 else 0.0
        slow = factor * math.exp(self.drift + stutter + 0.02 * self.lot.gauss(0, 1))
        return window(1000 / slow, 1000 * slow, 5000 * slow * math.exp(0.05 * self.lot.gauss(0, 1)))

    def compare(self, pairs: int = 40) -> Comparison:
        both: list[Callable[[], Window]] = [lambda: self.measure(1.0), lambda: self.measure(self.slower)]
        base, new = take_turns(both, rounds=pairs, seed=self.lot.randrange(10**9))
        points = {"concurrency 1": (windows_of(base), windows_of(new))}
        return compare_points(points, base="a", new="b", rules=Rules(), paired=True)


def test_every_server_has_its_window_in_every_round_in_an_order_drawn_by_lot() -> None:
    order: list[int] = []

    def measure(index: int) -> Callable[[], Window]:
        return lambda: (order.append(index), window(index + 1))[1]

    told: list[tuple[int, int]] = []
    found = take_turns([measure(n) for n in range(3)], rounds=40, seed=1, tell=lambda *done: told.append(done))
    assert [[w.throughput for w in each] for each in found] == [[1.0] * 40, [2.0] * 40, [3.0] * 40]
    rounds = [tuple(order[at : at + 3]) for at in range(0, 120, 3)]
    assert all(sorted(each) == [0, 1, 2] for each in rounds)
    assert len(set(rounds)) == 6
    assert told[-1] == (40, 40)
    assert take_turns([measure(0), measure(1)], rounds=5, seed=1)


def test_the_same_server_is_seldom_called_different() -> None:
    """99 % confidence over all figures: of 300 comparisons 3 are expected, and 10 all but impossible."""
    verdicts = [Machine(seed, 1.0).compare().points[0].verdict for seed in range(300)]
    assert sum(verdict in ("worse", "better") for verdict in verdicts) <= 9


def test_a_tenth_slower_is_found() -> None:
    verdicts = [Machine(seed, 1.1).compare().points[0].verdict for seed in range(100)]
    assert verdicts.count("worse") >= 90
    assert "better" not in verdicts


@pytest.mark.parametrize("name", ["throughput", "p50", "p99"])
def test_a_window_in_which_nothing_ended_still_counts(name: str) -> None:
    nothing = Window(0.0, 2.0, 0, 0, 3, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    stalled = windows_of([window(10), nothing])
    assert stalled[name][1:] == ([0.25] if name == "throughput" else [2e6])
    assert windows_of([nothing, nothing]) == {}
    (told,) = stalls("it", [[window(10), nothing], [nothing, nothing], [window(10), nothing, nothing]])
    assert told.startswith("3 of it's windows had no answer, and each counts as half a request")
    assert stalls("it", [[window(10)], [nothing]]) == []
