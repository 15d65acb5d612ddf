"""The page on plans: ratios of known times, bars met and missed, what is shown of stacks."""

import subprocess
import sys

import numpy as np
import pytest

from photopeak.benchmarks.document import entry, new_document, write_document
from photopeak.benchmarks.plans import bars, page, plan_tables, rows_of
from photopeak.engine.errors import InputError

PLAN = {"provider": "openvino", "precision": "int8", "threads": 2, "tile": 0, "tuned": True, "loss_db": 0.04}


def figure(name, median_ms, *, model="m", matrix="64x64", loss_db=0.0, call="model", frames=1):
    """Three launches of four turns of two calls, of that median."""
    ours = name.startswith("Photopeak")
    noise = np.tile([0.99, 1.0, 1.0, 1.01], 6)
    extra = {
        "case": f"{model}: {name}, {call}",
        "model": model,
        "matrix": matrix,
        "frames": frames,
        "findings": False,
        "contestant": f"{name}, {call}",
        "contestant_name": name,
        "call": call,
        "peer": not ours,
        "kind": "photopeak" if ours else "onnxruntime" if "ONNX" in name else "openvino",
        "precision": "" if ours else name.rpartition(" ")[2],
        "max_loss_db": loss_db,
        "loss_db": 0.04 if ours else 0.02,
        "turns": [2] * 12,
        "launches": [4] * 3,
        "threads": 2,
        "versions": {"python": "3.11"},
        **({"plan": PLAN} if ours else {}),
    }
    params = {"model": model, "matrix": matrix, "contestant": name, "call": call}
    return entry("plans", params, 1e-3 * median_ms * noise, extra)


@pytest.fixture
def entries():
    return [
        figure("Photopeak 0.05 dB", 1.0, loss_db=0.05),
        figure("Photopeak 0.05 dB", 1.1, loss_db=0.05, call="session"),
        figure("ONNX Runtime fp32", 2.0),
        figure("OpenVINO bf16", 1.25),
        figure("Photopeak 0.05 dB", 1.1, loss_db=0.05, matrix="128x128"),
        figure("ONNX Runtime fp32", 4.4, matrix="128x128"),
        figure("OpenVINO bf16", 1.0, matrix="128x128"),
        figure("Photopeak 0.05 dB", 300.0, loss_db=0.05, matrix="128x128 x 200", frames=200),
        figure("OpenVINO bf16", 100.0, matrix="128x128 x 200", frames=200, call="throughput"),
    ]


def test_rows_hold_the_fastest_other_mode_and_known_ratios(entries):
    first, second, stack = rows_of(entries)
    assert (first.peer, first.peer_ms, first.session_ms) == ("OpenVINO bf16", pytest.approx(1.25), pytest.approx(1.1))
    assert first.against_peer == pytest.approx([0.8] * 3)
    assert first.against_runtime == pytest.approx([2.0] * 3)
    assert second.against_peer == pytest.approx([1.1] * 3)
    assert (stack.peer, stack.against_runtime) == ("OpenVINO bf16, throughput", None)
    assert first.plan == "openvino int8, 2 threads, tuned"


def test_bars_are_told_as_they_are_and_leave_stacks_out(entries):
    slower, kept, speed, int8 = bars(rows_of(entries))
    assert (slower.met, kept.met) == (False, False)
    assert "1 of 2 cases; slower: m 128x128 x1.10" in slower.found
    # The geometric mean of 2 and 4.
    assert speed.met
    assert "x2.83" in speed.found
    assert "plans of int8" in int8.what
    assert [bar.met for bar in bars(rows_of(entries[:4]))] == [True, True, True, True]


def test_other_mode_that_loses_more_counts_apart(entries):
    other = entries[6]
    other["extra_info"]["loss_db"] = 0.3
    row = rows_of(entries)[1]
    assert (row.peer, row.peer_loss_db) == ("OpenVINO bf16", 0.3)
    assert row.against_peer.value == pytest.approx(1.1)
    # ONNX Runtime in float32 is left.
    assert row.against_faithful.value == pytest.approx(0.25)
    slower, kept, *_ = bars(rows_of(entries))
    assert (slower.met, kept.met) == (False, True)


def test_interval_holds_what_launches_differ_by():
    one, other = figure("Photopeak 0.05 dB", 1.0, loss_db=0.05), figure("OpenVINO bf16", 1.0)
    data = np.array(one["stats"]["data"])
    one["stats"]["data"] = (data * np.repeat([0.9, 1.0, 1.1], 8)).tolist()
    ratio = rows_of([one, other])[0].against_peer
    assert ratio.value == pytest.approx(0.99 ** (1 / 3), rel=1e-3)
    assert ratio.low < 0.95
    assert ratio.high > 1.04


def test_rounding_does_not_make_three_percent_into_more():
    close = [figure("Photopeak 0.05 dB", 1.029, loss_db=0.05), figure("OpenVINO bf16", 1.0)]
    assert bars(rows_of(close))[0].met


def test_page_has_bars_rows_and_stacks_of_their_own(entries, tmp_path):
    document = new_document() | {"benchmarks": entries}
    write_document(document, tmp_path / "plans.json")
    command = [sys.executable, "-m", "photopeak.benchmarks.plans", str(tmp_path / "plans.json")]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert text == page(document)
    titles = [table.title for table in plan_tables(rows_of(entries))]
    assert titles == ["Bars", "Admitted loss 0.05 dB", "Stacks, admitted loss 0.05 dB"]
    assert "| m | 128x128 | openvino int8, 2 threads, tuned | 1.10 |" in text
    assert "1.10 [1.10, 1.10] missed" in text


def test_report_without_plans_is_refused():
    with pytest.raises(InputError, match="--suite plans"):
        page(new_document())
