"""The choice among servers, and the circuits that leave dead ones out."""

from __future__ import annotations

import pytest

from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import DeadlineExceeded, InvalidRequest, ServerUnavailable, Target
from tritonforge.client.message import Request
from tritonforge.client.reliable.attempts import Attempts
from tritonforge.client.reliable.replicas import Breaker, Replicas
from tritonforge.client.reliable.retries import Budget, Retries

TARGET = Target("a, b", "m")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def names(replicas: Replicas[str], count: int) -> list[str]:
    chosen = [replicas.choose() for _ in range(count)]
    for replica in chosen:
        assert replica
        replicas.done(replica)
    return [replica.transport for replica in chosen if replica]


def test_round_robin_takes_each_in_turn():
    found = names(Replicas(["a", "b", "c"]), 6)
    assert found[:3] == found[3:]
    assert sorted(found[:3]) == ["a", "b", "c"]


def test_the_least_busy_is_taken():
    replicas = Replicas(["a", "b"], "least_in_flight")
    first = replicas.choose()
    second = replicas.choose()
    assert {first.transport, second.transport} == {"a", "b"}
    replicas.done(second)
    assert replicas.choose() is second


def test_a_pause_longer_than_the_longest_is_as_long_as_it_says():
    assert [Breaker(pause_s=5).pause_after_s(pauses) for pauses in (0, 1)] == [5, 5]


def test_a_circuit_opens_pauses_longer_each_time_and_closes():
    clock = Clock()
    replicas = Replicas(["a"], breaker=Breaker(failures=2, pause_s=1, longest_pause_s=3), clock=clock)
    (only,) = replicas.all
    replicas.failed(only)
    assert replicas.choose() is only
    replicas.failed(only)
    assert replicas.choose() is None
    assert replicas.wait_s() == 1
    for pause_s in (2, 3, 3):
        clock.now = only.retry_at
        assert replicas.choose() is only, "the one trial"
        assert replicas.choose() is None, "while it lasts, no other"
        replicas.failed(only)
        assert replicas.wait_s() == pause_s
    clock.now = only.retry_at
    replicas.succeeded(replicas.choose())
    assert replicas.choose() is only
    assert not only.open


def test_by_default_a_server_that_has_come_back_is_tried_within_a_second():
    clock = Clock()
    replicas = Replicas(["a"], clock=clock)
    (only,) = replicas.all
    for _ in range(20):
        replicas.failed(only)
        assert replicas.wait_s() <= 1
        clock.now = max(clock.now, only.retry_at)
        replicas.choose()


def test_one_that_is_left_out_is_probed_while_others_serve():
    clock = Clock()
    replicas = Replicas(["a", "b"], breaker=Breaker(failures=1, pause_s=1), clock=clock)
    dead, well = replicas.all
    replicas.failed(dead)
    assert set(names(replicas, 4)) == {"b"}
    assert replicas.due() == []
    clock.now = 1
    assert replicas.due() == [dead]
    assert replicas.due() == [], "it is being probed"
    replicas.succeeded(dead)
    assert set(names(replicas, 4)) == {"a", "b"}
    assert not well.open


@pytest.mark.parametrize("wrong", [{"failures": 0}, {"pause_s": 0}, {"probe_s": float("inf")}])
def test_a_breaker_refuses_numbers_out_of_range(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Breaker(**wrong)


def test_an_unknown_balance_is_refused():
    with pytest.raises(ValueError, match="round_robin or least_in_flight"):
        Replicas(["a"], "random")


def attempts(replicas: Replicas[str], request: Request | None = None, **settings: object) -> Attempts[str]:
    retries = Retries(first_delay_s=0, **settings)
    return Attempts(replicas, retries, Budget(retries), Deadline(5), TARGET, request=request)


def test_the_next_attempt_goes_to_another_server_at_once():
    call = attempts(Replicas(["a", "b"]))
    first = call.begin()
    assert call.failed(first, ServerUnavailable("gone", TARGET)) == 0
    assert call.begin() is not first


def test_a_server_is_asked_again_no_sooner_than_it_wants():
    call = attempts(Replicas(["a"]))
    busy = ServerUnavailable("busy", TARGET)
    busy.after_s = 2
    assert call.failed(call.begin(), busy) == 2
    busy.after_s = 60
    with pytest.raises(ServerUnavailable, match="busy"):
        call.failed(call.begin(), busy)


def test_another_server_is_asked_at_once_whatever_the_first_wants():
    call = attempts(Replicas(["a", "b"]))
    busy = ServerUnavailable("busy", TARGET)
    busy.after_s = 2
    assert call.failed(call.begin(), busy) == 0


def test_attempts_end():
    call = attempts(Replicas(["a"]), attempts=2)
    call.failed(call.begin(), ServerUnavailable("gone", TARGET))
    with pytest.raises(ServerUnavailable, match="gone"):
        call.failed(call.begin(), ServerUnavailable("gone", TARGET))


def test_a_call_was_sent_if_any_attempt_was():
    call = attempts(Replicas(["a"], breaker=Breaker(failures=2)), attempts=2)
    call.failed(call.begin(), ServerUnavailable("closed before an answer", TARGET))
    with pytest.raises(ServerUnavailable) as refused:
        call.failed(call.begin(), ServerUnavailable("Connection refused", TARGET, sent=False))
    with pytest.raises(ServerUnavailable) as opened:
        call.begin()
    for caught in (refused.value, opened.value):
        assert caught.sent
        assert "Connection refused" in caught.reason
        assert caught.reason.endswith("the request had been sent before: closed before an answer")


def test_after_an_unanswered_question_a_refusal_goes_on_to_the_server_that_is_left_at_no_cost():
    """A refused connection is that, whatever an attempt before it has sent."""
    retries = Retries(budget=0, burst=0)
    call = Attempts(Replicas(["hangs", "dead", "good"]), retries, Budget(retries), Deadline(5), TARGET, steady=True)
    assert call.failed(call.begin(), DeadlineExceeded("no answer within 2 s", TARGET)) == 0
    refused = ServerUnavailable("Connection refused", TARGET, sent=False)
    assert call.failed(call.begin(), refused) == 0
    assert str(refused.reason) == "Connection refused; asked before: no answer within 2 s"
    assert not refused.sent, "it is a question about the model, and nothing of the request"


def test_an_inference_that_was_refused_elsewhere_goes_on_at_no_cost():
    retries = Retries(budget=1, burst=1)
    call = Attempts(Replicas(["busy", "dead", "good"]), retries, Budget(retries), Deadline(5), TARGET)
    call.failed(call.begin(), ServerUnavailable("busy", TARGET))
    refused = ServerUnavailable("Connection refused", TARGET, sent=False)
    assert call.failed(call.begin(), refused) == 0
    assert refused.sent, "the request had been, by then"


def test_a_circuit_that_the_call_itself_opened_says_why_once():
    call = attempts(Replicas(["a"], breaker=Breaker(failures=1)))
    call.failed(call.begin(), ServerUnavailable("closed before an answer", TARGET))
    with pytest.raises(ServerUnavailable, match="the server failed its last calls") as caught:
        call.begin()
    assert caught.value.sent
    assert caught.value.reason.endswith("(circuit open): closed before an answer; the request had been sent before")


def test_a_busy_model_is_asked_again_and_not_held_against_its_server():
    replicas = Replicas(["a"], breaker=Breaker(failures=1))
    call = attempts(replicas)
    for _ in range(2):
        call.failed(call.begin(), ServerUnavailable("Exceeds maximum queue size", TARGET, of_model=True))
    with pytest.raises(ServerUnavailable):
        call.failed(call.begin(), ServerUnavailable("Exceeds maximum queue size", TARGET, of_model=True))
    assert not replicas.all[0].open


def test_a_busy_model_is_asked_for_on_another_server_and_closes_the_circuit_of_the_first():
    replicas = Replicas(["a", "b"], breaker=Breaker(failures=2))
    call = attempts(replicas)
    first = call.begin()
    replicas.failed(first)
    assert call.failed(first, ServerUnavailable("Exceeds maximum queue size", TARGET, of_model=True)) == 0
    assert call.begin() is not first
    assert (first.failures, first.in_flight) == (0, 0)


def test_what_the_server_answers_closes_its_circuit():
    replicas = Replicas(["a"])
    call = attempts(replicas)
    replicas.failed(replicas.all[0])
    with pytest.raises(InvalidRequest):
        call.failed(call.begin(), InvalidRequest("no", TARGET))
    assert replicas.all[0].failures == 0
    assert replicas.all[0].in_flight == 0


def test_a_slow_model_opens_no_circuit_where_there_is_no_other_server():
    for servers, failures in ((["a"], 0), (["a", "b"], 1)):
        replicas = Replicas(servers)
        call = attempts(replicas)
        chosen = call.begin()
        with pytest.raises(DeadlineExceeded):
            call.failed(chosen, DeadlineExceeded("late", TARGET))
        assert chosen.failures == failures


def test_a_server_that_says_that_a_request_is_late_has_answered():
    replicas = Replicas(["a", "b"], breaker=Breaker(failures=1))
    late = DeadlineExceeded("Request timeout expired", TARGET)
    late.code = "503"
    made = attempts(replicas)
    replica = made.begin()
    with pytest.raises(DeadlineExceeded):
        made.failed(replica, late)
    assert not replica.open
    assert replica.in_flight == 0


def test_a_sequence_stays_where_it_began_and_is_not_sent_twice():
    replicas = Replicas(["a", "b"])
    start = Request("m", (), parameters={"sequence_id": 5, "sequence_start": True})
    begun = attempts(replicas, start).begin()
    names(replicas, 1)
    going_on = Request("m", (), parameters={"sequence_id": 5})
    call = attempts(replicas, going_on)
    assert call.begin() is begun
    with pytest.raises(ServerUnavailable):
        call.failed(begun, ServerUnavailable("reset", TARGET))


def test_all_circuits_open_is_said_with_the_reason():
    replicas = Replicas(["a"], breaker=Breaker(failures=1))
    replicas.failed(replicas.all[0], "Connection refused")
    with pytest.raises(ServerUnavailable, match=r"circuit open\): Connection refused") as caught:
        attempts(replicas).begin()
    assert not caught.value.sent


def test_what_belongs_together_is_asked_of_the_same_server_while_that_is_healthy():
    replicas = Replicas(["a", "b"], breaker=Breaker(failures=1))
    first = replicas.choose(steady=True)
    assert first is not None
    assert [replicas.choose(steady=True) for _ in range(3)] == [first] * 3
    replicas.failed(first)
    assert replicas.choose(steady=True) is not first


def test_a_server_that_was_silent_is_passed_over_while_another_was_not_and_probed_after_a_pause():
    clock = Clock()
    replicas = Replicas(["a", "b"], breaker=Breaker(pause_s=1), clock=clock)
    silent, well = replicas.all
    replicas.failed(silent, pass_over=True)
    assert set(names(replicas, 4)) == {"b"}
    assert replicas.choose([well]) is silent, "rather than the same one again"
    assert not silent.open
    assert replicas.due() == []
    clock.now = 1
    assert replicas.due() == [silent]
    replicas.failed(silent)
    assert silent.open, "its probe failed, too"
    replicas.succeeded(silent)
    assert set(names(replicas, 4)) == {"a", "b"}


def test_where_all_were_silent_each_has_its_turn():
    replicas = Replicas(["a", "b"])
    for replica in replicas.all:
        replicas.failed(replica, pass_over=True)
    assert set(names(replicas, 4)) == {"a", "b"}


def test_an_only_server_that_was_silent_is_asked_on():
    replicas = Replicas(["a"])
    replicas.failed(replicas.all[0], pass_over=True)
    assert names(replicas, 1) == ["a"]
    assert not replicas.all[0].passed_over


def test_an_attempt_has_a_share_of_the_time_while_another_server_can_follow():
    call = attempts(Replicas(["a", "b"]))
    first = call.begin()
    assert call.limit().shared, "to connect"
    assert call.limit().at == call.deadline.at
    call.failed(first, ServerUnavailable("no connection", TARGET, sent=False, silent=True))
    call.begin()
    assert call.limit() is call.deadline
    assert first.passed_over


def test_a_question_about_a_model_has_a_share_of_the_time_and_goes_on_to_the_next_server():
    replicas, retries = Replicas(["a", "b"]), Retries(burst=0, budget=0)
    call = Attempts(replicas, retries, Budget(retries), Deadline(5), TARGET, steady=True)
    first = call.begin()
    assert call.limit().timeout_s <= 2.5
    assert call.failed(first, DeadlineExceeded("late", TARGET)) == 0
    assert call.begin() is not first
    with pytest.raises(DeadlineExceeded):
        call.failed(call._tried[-1], DeadlineExceeded("late", TARGET))


@pytest.mark.parametrize("settings", [{"attempts": 1}, {"attempts": 3}])
def test_the_last_attempt_has_all_of_the_time(settings):
    call = attempts(Replicas(["a", "b"] if settings["attempts"] == 1 else ["a"]), **settings)
    call.begin()
    assert call.limit() is call.deadline


def test_to_ask_another_server_where_nothing_was_sent_takes_nothing_of_the_budget():
    replicas, retries = Replicas(["a", "b"]), Retries(burst=0, budget=0)
    call = Attempts(replicas, retries, Budget(retries), Deadline(5), TARGET)
    assert call.failed(call.begin(), ServerUnavailable("refused", TARGET, sent=False)) == 0
    with pytest.raises(ServerUnavailable):
        call.failed(call.begin(), ServerUnavailable("refused", TARGET, sent=False))


def test_a_stream_that_had_answers_does_not_make_its_server_a_silent_one():
    replicas = Replicas(["a", "b"])
    call = attempts(replicas)
    chosen = call.begin()
    with pytest.raises(DeadlineExceeded):
        call.failed(chosen, DeadlineExceeded("late", TARGET), answered=True)
    assert not chosen.passed_over


def test_a_sequence_that_could_not_begin_on_one_server_begins_on_another():
    start = Request("m", (), parameters={"sequence_id": 5, "sequence_start": True})
    call = attempts(Replicas(["a", "b"]), start)
    first = call.begin()
    assert call.limit().shared
    call.failed(first, ServerUnavailable("refused", TARGET, sent=False))
    assert call.begin() is not first
