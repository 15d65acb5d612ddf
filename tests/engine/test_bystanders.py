import os
import subprocess
import sys
from time import perf_counter, process_time, sleep

import pytest

from photopeak.engine import bystanders
from photopeak.engine.bystanders import Bystanders

TICKS = 100


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Return ``tell(seconds)``, which makes processors 0 and 1 have worked so long, and hold still the clocks."""
    now = {"wall": 50.0, "own": 3.0}
    file = tmp_path / "stat"
    monkeypatch.setattr(bystanders, "_STATISTICS", file)
    monkeypatch.setattr(bystanders, "perf_counter", lambda: now["wall"])
    monkeypatch.setattr(bystanders, "process_time", lambda: now["own"])
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1}, raising=False)
    monkeypatch.setattr(os, "sysconf", lambda name: TICKS)

    def tell(first, second, third=0.0, **changes):
        now.update(changes)
        rows = [f"cpu{i} {int(s * TICKS)} 0 0 999999 77 0 0 0 5 5" for i, s in enumerate((first, second, third))]
        file.write_text("\n".join(["cpu  1 2 3 4 5 6 7 8 9 10", *rows, "intr 1 2", ""]))

    return tell


def test_time_of_others_on_our_processors_counts(system):
    system(10.0, 20.0, 0.0)
    watch = Bystanders()
    # Ten seconds on two processors: they worked 12 s, of which 7 s are ours; the third is not for us.
    system(17.0, 25.0, 9.0, wall=60.0, own=10.0)
    assert watch.share() == pytest.approx(5 / 20)


def test_share_never_leaves_its_range(system):
    system(10.0, 20.0)
    watch = Bystanders()
    assert watch.share() == 0
    system(10.0, 20.0, wall=60.0, own=10.0)
    assert watch.share() == 0
    system(99.0, 99.0, wall=60.0, own=10.0)
    assert watch.share() == 1


def test_system_that_does_not_tell_has_no_bystanders(system):
    system(1.0, 1.0)
    watch = Bystanders()
    bystanders._STATISTICS.unlink()
    assert watch.share() == 0


@pytest.mark.skipif(not bystanders._STATISTICS.exists(), reason="the system has no /proc/stat")
def test_program_that_computes_is_seen_and_our_own_work_is_not():
    watch = Bystanders()
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    sleep(0.6)
    busy.kill()
    busy.wait()
    assert watch.share() > 0.1 / len(os.sched_getaffinity(0))
    watch, end = Bystanders(), process_time() + 0.3
    start = perf_counter()
    while process_time() < end:
        pass
    others, wall = watch.share(), perf_counter() - start
    # What is neither ours nor that of others was idle: the three cannot exceed the processors.
    assert others * wall * len(os.sched_getaffinity(0)) + 0.3 <= (wall + 0.1) * len(os.sched_getaffinity(0))
