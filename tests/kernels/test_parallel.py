"""Work side by side."""

import threading
import time

import pytest

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
