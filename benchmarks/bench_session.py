"""What a session costs on top of the provider: the same tensor, the same graph, the same threads, taking turns.

Included in ``session``: admission checks, staging, inference, rescaling to the exact counts. The domain is judged when somebody
looks at the verdict, which is not included. Included in ``bare``: inference only, on a tensor that nobody writes. Loading the
model is in neither. A call that is not timed goes before each, so that both find the caches as calls in a row do.
"""

from dataclasses import replace

import numpy as np
import pytest

from photopeak.engine.plan import Request
from photopeak.engine.planner import TunedPlanner
from photopeak.engine.providers import Target, find
from photopeak.engine.session import Session
from photopeak.engine.zoo import load_bundle, names

TARGETS = (
    ("onnxruntime", "cpu", "fp32"),
    ("openvino", "cpu", "fp32"),
    ("openvino", "cpu", "bf16"),
    ("onnxruntime", "cpu", "int8"),
    ("openvino", "cpu", "int8"),
    ("onnxruntime", "cuda", "fp32"),
    ("onnxruntime-tensorrt", "cuda", "fp16"),
)


@pytest.mark.parametrize(("provider", "device", "precision"), TARGETS, ids=["-".join(target) for target in TARGETS])
@pytest.mark.parametrize("model", names("images"))
def bench_session(compare, frames, model, provider, device, precision, threads):
    if reason := find(provider).check(Target(device, precision, threads)):
        pytest.skip(reason)
    bundle = load_bundle(model)
    if precision == "int8" and bundle.int8 is None:
        pytest.skip(f"{model} has no graph in int8")
    planner = TunedPlanner(bundle, Request(device, precision, provider, threads, max_loss_db=float("inf")))
    session, manifest = Session(bundle, *planner.first(), planner), bundle.manifest
    plan, runnable = planner(frames.matrix, 1)
    if 0 < plan.tile < max(frames.matrix):
        pytest.skip("the plan cuts frames into tiles, of which the bare graph knows nothing")
    frames = replace(frames, units=manifest.input.units, modality=manifest.modalities[0])
    lane, tensor = runnable.lane(), np.ascontiguousarray(frames.pixels[:, np.newaxis])
    compare({"session": lambda: session.run(frames), "bare": lambda: lane.run(tensor)}, baseline="bare", settle=True)
    result = session.run(frames)
    scale = manifest.image_output.scale
    assert result.frames.pixels.shape[1:] == tuple(scale * length for length in frames.pixels.shape[1:])
    if kept := {"sum": np.sum, "mean": np.mean}.get(manifest.image_output.conserve):
        assert kept(result.frames.pixels, dtype=float) == pytest.approx(kept(frames.pixels, dtype=float), rel=1e-5)
