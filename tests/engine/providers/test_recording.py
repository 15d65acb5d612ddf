import threading
import time

import pytest

from photopeak.engine.providers.recording import Recording


def test_nobody_runs_while_one_records():
    recording, inside, worst = Recording(), [], []
    lock = threading.Lock()

    def work(kind):
        for _ in range(60):
            with getattr(recording, kind)():
                with lock:
                    inside.append(kind)
                    if "alone" in inside and len(inside) > 1:
                        worst.append(list(inside))
                time.sleep(1e-4)
                with lock:
                    inside.remove(kind)

    threads = [threading.Thread(target=work, args=(kind,)) for kind in ("alone", "alone", "absent", "absent", "absent")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)
    assert worst == []


def test_runs_overlap():
    recording, both = Recording(), threading.Barrier(2)

    def work():
        with recording.absent():
            both.wait(timeout=30)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not both.broken


def test_who_wants_to_record_goes_first():
    recording, order = Recording(), []
    running, release = threading.Event(), threading.Event()

    def run_first():
        with recording.absent():
            running.set()
            release.wait(timeout=30)

    def record():
        with recording.alone():
            order.append("recorded")

    def run_later():
        with recording.absent():
            order.append("ran")

    threads = [threading.Thread(target=work) for work in (run_first, record, run_later)]
    threads[0].start()
    running.wait(timeout=30)
    threads[1].start()
    while not recording._recording:
        time.sleep(1e-3)
    threads[2].start()
    time.sleep(0.02)
    release.set()
    for thread in threads:
        thread.join(timeout=30)
    assert order == ["recorded", "ran"]


@pytest.mark.parametrize("kind", ["alone", "absent"])
def test_an_error_leaves_the_way_free(kind):
    recording = Recording()
    with pytest.raises(ValueError, match="mine"), getattr(recording, kind)():
        raise ValueError("mine")
    with recording.alone():
        pass


def test_who_is_interrupted_while_waiting_leaves_the_way_free(monkeypatch):
    recording, entered = Recording(), threading.Event()

    def interrupted(wanted):
        raise KeyboardInterrupt

    def run():
        with recording.absent():
            entered.set()

    with monkeypatch.context() as patched:
        patched.setattr(recording._changed, "wait_for", interrupted)
        with pytest.raises(KeyboardInterrupt), recording.alone():
            pytest.fail("it did not wait")
    threading.Thread(target=run, daemon=True).start()
    assert entered.wait(timeout=5)
