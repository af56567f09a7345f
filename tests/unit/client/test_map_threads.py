"""What `map` does with its threads, whatever they do."""

from __future__ import annotations

import contextvars
import threading
import time

import numpy as np
import pytest

from tritonforge.client.calls.map_inputs import pieces_of
from tritonforge.client.calls.mapping import Mapped, Work, run_in_threads
from tritonforge.client.errors import InferenceFailed, InvalidRequest, Target
from tritonforge.client.result import Result

WHO = contextvars.ContextVar("WHO", default="nobody")


def result(number: int) -> Result:
    return Result({"y": np.array([number])}, model="m", model_version="1", id="", parameters={})


def work(items, *, concurrency: int = 2, ordered: bool = True) -> Work:
    target = Target("http://h:1", "m")
    pieces = pieces_of(items, lambda item: item, 0, target)
    return Work(pieces, lambda made: made, concurrency, ordered, None, True, target)


def test_the_callers_context_is_the_threads():
    token = WHO.set("caller")
    seen = []
    try:
        items = [{"x": np.array([n])} for n in range(5)]
        made = run_in_threads(work(items), lambda piece: seen.append(WHO.get()) or result(int(piece.inputs["x"][0])))
        assert [number for number, _ in made] == list(range(5))
    finally:
        WHO.reset(token)
    assert seen == ["caller"] * 5


@pytest.mark.parametrize("ordered", [True, False])
def test_no_more_than_twice_the_concurrency_are_taken_before_the_first_is_done(ordered):
    taken, first = [], threading.Event()

    def items():
        for n in range(20):
            taken.append(n)
            yield {"x": np.array([n])}

    def infer(piece):
        if piece.inputs["x"][0] == 0:
            first.wait(20)
        return result(int(piece.inputs["x"][0]))

    made = run_in_threads(work(items(), ordered=ordered), infer)
    if ordered:
        threading.Timer(0.2, first.set).start()
    begun = next(made)[0]
    assert (begun == 0) is ordered
    if ordered:
        assert len(taken) == 4
    first.set()
    assert sorted([begun, *(number for number, _ in made)]) == list(range(20))


def broken_off(count):
    yield from ({"x": np.array([n])} for n in range(count))
    raise KeyError("row")


def test_an_error_of_the_iterable_is_raised_after_the_results_of_what_it_gave():
    made = run_in_threads(work(broken_off(5)), lambda piece: result(int(piece.inputs["x"][0])))
    assert [next(made)[0] for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(KeyError, match="row"):
        next(made)


def test_the_first_error_in_order_is_raised_after_what_was_before_it_and_the_threads_end():
    before = threading.active_count()
    target = Target("http://h:1", "m")

    def infer(piece):
        if piece.inputs["x"][0] >= 2:
            raise InvalidRequest("no", target)
        return result(int(piece.inputs["x"][0]))

    made = run_in_threads(work([{"x": np.array([n])} for n in range(9)]), infer)
    assert [next(made)[0], next(made)[0]] == [0, 1]
    with pytest.raises(InvalidRequest, match="item 2: no"):
        next(made)
    wait_for_threads(before)


def test_a_map_that_has_been_read_leaves_no_thread():
    before = set(threading.enumerate())
    made = run_in_threads(work([{"x": np.array([n])} for n in range(9)]), lambda piece: result(0))
    assert len(list(made)) == 9
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize(("items", "concurrency", "most"), [(3, 1000, 3), (9, 2, 2)])
def test_there_are_no_more_threads_than_items_nor_than_the_concurrency(items, concurrency, most):
    before, seen = threading.active_count(), []

    def infer(piece):
        seen.append(threading.active_count() - before)
        return result(0)

    made = run_in_threads(work([{"x": np.array([n])} for n in range(items)], concurrency=concurrency), infer)
    assert len(list(made)) == len(seen) == items
    assert max(seen) <= most


def test_a_map_that_is_left_waits_for_no_request_and_makes_no_more():
    before, release, begun = threading.active_count(), threading.Event(), []

    def infer(piece):
        begun.append(int(piece.inputs["x"][0]))
        if piece.inputs["x"][0]:
            assert release.wait(60)
        return result(0)

    made = run_in_threads(work([{"x": np.array([n])} for n in range(9)]), infer)
    next(made)
    made.close()  # while requests are under way: they are released only afterwards
    release.set()
    wait_for_threads(before)
    assert set(begun) <= {0, 1, 2}


def wait_for_threads(count: int) -> None:
    deadline = time.monotonic() + 60
    while threading.active_count() > count and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= count


@pytest.mark.parametrize("ordered", [True, False])
def test_no_result_of_many_threads_is_lost_or_waited_for_in_vain(ordered):
    items = ({"x": np.array([n])} for n in range(5000))
    made = run_in_threads(work(items, concurrency=8, ordered=ordered), lambda piece: result(int(piece.inputs["x"][0])))
    numbers = [number for number, answer in made if answer["y"][0] == number]
    assert sorted(numbers) == list(range(5000))
    assert not ordered or numbers == list(range(5000))


def test_an_answer_with_other_rows_than_were_sent_is_an_error():
    made = run_in_threads(work([{"x": np.ones(4)}, {"x": np.ones(2)}]), lambda piece: Result({"y": np.ones(4)}))
    assert next(made)[0] == 0
    with pytest.raises(InferenceFailed, match=r'item 1: output "y" is \[4\], of an input of 2 rows: a batch has one'):
        next(made)


@pytest.mark.parametrize("indexed", [False, True])
def test_several_threads_read_one_map(indexed):
    def read():
        try:
            barrier.wait()
            read_by_all.extend(results)
        except BaseException as error:
            errors.append(error)

    def infer(piece):
        time.sleep(0.001)  # so that readers wait at once
        return result(int(piece.inputs["x"][0]))

    count, readers = 100, 4
    mapped = Mapped(run_in_threads(work({"x": np.array([n])} for n in range(count)), infer), lambda made: made)
    results = mapped.indexed() if indexed else mapped
    read_by_all, errors, barrier = [], [], threading.Barrier(readers)
    threads = [threading.Thread(target=read) for _ in range(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    numbers = [item[0] if indexed else int(item["y"][0]) for item in read_by_all]
    assert sorted(numbers) == list(range(count))


def test_a_map_that_its_own_progress_reads_says_so():
    mapped: list[Mapped] = []
    given = work([{"x": np.array([0])}])
    given = Work(given.pieces, given.convert, 1, True, lambda _: next(mapped[0]), True, given.target)
    mapped.append(Mapped(run_in_threads(given, lambda _: result(0)), lambda made: made))
    with pytest.raises(ValueError, match="generator already executing"):
        next(mapped[0])
