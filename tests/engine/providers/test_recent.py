import threading
import weakref
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photopeak.engine.providers.recent import Recent


class Thing:
    pass


@given(st.lists(st.integers(0, 6), max_size=60), st.integers(1, 5))
def test_the_last_used_are_kept_and_nothing_is_made_twice_meanwhile(keys, most):
    recent, kept, made = Recent(most), OrderedDict(), []
    for key in keys:
        again = key in kept
        kept[key] = kept.pop(key, None)
        while len(kept) > most:
            kept.popitem(last=False)
        before = len(made)
        assert recent.get(key, lambda key=key: made.append(key) or key) == key
        assert len(made) - before == (not again)
        assert tuple(recent._slots) == tuple(kept)


def test_what_is_let_go_is_freed_in_the_context_and_nothing_else():
    inside, freed = [], []

    @contextmanager
    def leaving():
        inside.append(True)
        yield
        inside.pop()

    recent = Recent(1, leaving)
    for name in "ab":
        thing = recent.get(name, Thing)
        weakref.finalize(thing, lambda name=name: freed.append((name, bool(inside))))
        del thing
    assert freed == [("a", True)]
    recent.clear()
    assert freed == [("a", True), ("b", True)]
    assert not recent._slots


def test_what_is_in_use_outlives_its_place():
    recent = Recent(1)
    first = recent.get("a", Thing)
    recent.get("b", Thing)
    assert isinstance(first, Thing)
    assert recent.get("a", Thing) is not first


def test_what_could_not_be_made_is_tried_again():
    recent = Recent(2)
    with pytest.raises(ZeroDivisionError):
        recent.get("a", lambda: 1 // 0)
    assert recent.get("a", lambda: 5) == 5


def test_callers_of_one_key_share_a_thing_and_others_do_not_wait():
    recent, started, go = Recent(4), threading.Event(), threading.Event()

    def slow():
        started.set()
        assert go.wait(10)
        return Thing()

    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(recent.get, "slow", slow) for _ in range(3)]
        assert started.wait(10)
        assert recent.get("quick", lambda: 1) == 1
        go.set()
        assert len({id(one.result(10)) for one in waiting}) == 1
