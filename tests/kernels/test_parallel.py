"""Work side by side."""

import threading
import time

import pytest

from photopeak.kernels import parallel
from photopeak.kernels.errors import UsageError
from photopeak.kernels.parallel import over


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_keep_the_order_of_the_items(threads):
    assert over(lambda item: item * item, range(20), threads) == [item * item for item in range(20)]


def test_no_more_threads_than_asked_for_work_at_once():
    running, most, lock = 0, 0, threading.Lock()

    def work(_):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with lock:
            running -= 1

    over(work, range(20), threads=3)
    assert 1 < most <= 3


def test_one_thread_is_the_callers():
    assert over(lambda _: threading.get_ident(), [0, 1]) == [threading.get_ident()] * 2


def test_no_items_give_no_results():
    assert over(abs, [], threads=2) == []


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", None])
def test_less_than_one_thread_is_refused(threads):
    with pytest.raises(UsageError, match=rf"threads is {threads}; use 1 or more"):
        over(abs, [1], threads)


def test_error_of_an_item_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        over(lambda item: 1 / item, [1, 0], threads=2)


def fail(item):
    raise ValueError(f"item {item}")


def test_first_item_that_fails_is_told_although_a_later_one_has_failed_before():
    """As when a thread has taken an item and is stopped before it begins."""
    shared = parallel._Shared(fail, range(3))
    shared._failures[1] = ValueError("item 1")
    with pytest.raises(ValueError, match="item 0"):
        shared.finished(1)


def test_nobody_goes_on_where_a_thread_cannot_start(monkeypatch):
    started, done, release, ended = [], [], threading.Event(), threading.Event()

    def start(function, arguments):
        if started:
            raise RuntimeError("can't start new thread")
        started.append(threading.Thread(target=lambda: (function(*arguments), ended.set())))
        started[0].start()

    def work(item):
        done.append(item)
        release.wait(10)

    monkeypatch.setattr(parallel, "start_new_thread", start)
    with pytest.raises(RuntimeError, match="can't start"):
        over(work, range(100), threads=3)
    release.set()
    started[0].join(10)
    assert ended.is_set()
    assert len(done) <= 1


def test_interrupt_of_an_item_ends_the_work():
    done = []

    def work(item):
        done.append(item)
        if item == 1:
            raise KeyboardInterrupt
        time.sleep(0.001)

    with pytest.raises(KeyboardInterrupt):
        over(work, range(1000), threads=2)
    assert len(done) < 100


@pytest.mark.parametrize("threads", [2, 3])
def test_work_within_work_and_many_callers_at_once_change_nothing(threads):
    def outer(item):
        return sum(over(lambda inner: item * inner, range(20), threads))

    expected = [190 * item for item in range(20)]
    found = over(lambda _: over(outer, range(20), threads), range(6), 6)
    assert found == [expected] * 6


def test_helper_that_begins_late_is_not_waited_for(monkeypatch):
    late = []
    monkeypatch.setattr(parallel, "start_new_thread", lambda function, arguments: late.append((function, arguments)))
    assert over(abs, [-1, -2, -3], threads=3) == [1, 2, 3]
    for function, arguments in late:
        function(*arguments)  # finds nothing to do
    assert len(late) == 2
