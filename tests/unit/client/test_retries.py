"""When an attempt is made again."""

from __future__ import annotations

import pytest

from tritonforge.client.errors import DeadlineExceeded, InferenceFailed, ServerUnavailable, Target
from tritonforge.client.reliable.retries import Budget, Retries, may_retry

TARGET = Target("http://h:1", "m")


def test_delays_are_drawn_from_zero_to_a_doubling_bound():
    retries = Retries(first_delay_s=0.1, longest_delay_s=0.5)
    assert [retries.delay_s(n, lambda: 1.0) for n in range(5)] == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.5])
    assert retries.delay_s(3, lambda: 0.0) == 0
    assert retries.delay_s(10_000, lambda: 1.0) == 0.5


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"budget": -1}, {"first_delay_s": float("nan")}, {"burst": -1}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Retries(**wrong)


def test_a_budget_is_spent_and_earned():
    budget = Budget(Retries(budget=0.5, burst=2))
    assert [budget.spend() for _ in range(3)] == [True, True, False]
    budget.earn()
    assert not budget.spend()
    budget.earn()
    assert budget.spend()


@pytest.mark.parametrize("burst", [0, 1, 3])
@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 0.4, 0.75, 1])
def test_a_budget_gives_its_share_of_the_calls_whatever_the_burst(share, burst):
    budget, given = Budget(Retries(budget=share, burst=burst)), 0
    for _ in range(1000):
        budget.earn()
        given += budget.spend()
    assert given == pytest.approx(1000 * share + burst, abs=burst + 1)
    assert given <= 1000 * share + burst


def test_without_a_budget_there_is_the_burst_alone():
    budget, given = Budget(Retries(budget=0, burst=2)), 0
    for _ in range(9):
        budget.earn()
        given += budget.spend()
    assert given == 2


def test_calls_that_a_server_breaks_off_go_on_at_another_though_the_budget_is_used_up():
    """Those that follow make up for them."""
    budget = Budget(Retries(budget=0.5, burst=2))
    assert sum(budget.spend(16) for _ in range(30)) == 18
    earned = 0
    while not budget.spend():
        budget.earn()
        earned += 1
    assert earned == 34, "16 that are owed, and the one that is taken, at half a token a call"


@pytest.mark.parametrize("retries", [Retries(budget=0, burst=2), Retries(budget=0.5, burst=0)])
def test_nothing_is_lent_where_there_is_no_budget_or_no_burst(retries):
    budget = Budget(retries)
    assert sum(budget.spend(16) for _ in range(30)) == retries.burst


def test_after_a_long_time_there_is_little_more_than_the_burst():
    budget = Budget(Retries(budget=0.2, burst=3))
    for _ in range(1000):
        budget.earn()
    assert [budget.spend() for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("error", "idempotent", "may"),
    [
        (ServerUnavailable("busy", TARGET), True, True),
        (ServerUnavailable("busy", TARGET), False, False),
        (ServerUnavailable("refused", TARGET, sent=False), False, True),
        (DeadlineExceeded("late", TARGET), True, False),
        (InferenceFailed("boom", TARGET), True, False),
    ],
)
def test_only_what_can_do_no_harm_is_tried_again(error, idempotent, may):
    assert may_retry(error, idempotent=idempotent) is may
