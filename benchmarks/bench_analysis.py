"""What finding costs from pixels to findings, and of that the graph alone: the same images, the same threads, taking turns.

Included in ``session``: bringing the image to the working grid, inference with evidence map and embedding, decoding, enlarging
the maps to the matrix of the image, and the verdict on the domain. Included in ``bare``: the library's inference alone, on the
tensor that the session makes of the image. Both use one instance of the library: the threads of a second one would wait
in loops and take the processors from the first. Reading files and loading the model are in neither. A call that is not
timed goes before each, so that both find the caches as calls in a row do.

The detector gets two phases of a body of Poisson counts on 256 x 256 pixels of its working grid, for which the bar is 20 ms on
two cores; classifiers get an image that their bundle holds.
"""

import numpy as np
import pytest

from photopeak.benchmarks import images
from photopeak.engine.analysis.prepare import prepare
from photopeak.engine.analysis.session import AnalysisSession, network_input
from photopeak.engine.frames import Frames
from photopeak.engine.matrix import MatrixSize
from photopeak.engine.plan import Request
from photopeak.engine.planner import TunedPlanner
from photopeak.engine.providers import Target, find
from photopeak.engine.zoo import load_bundle, names

SIDE = 256
PROVIDERS = ("onnxruntime", "openvino")


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("model", names("findings"))
def bench_analysis(compare, model, provider, threads):
    if reason := find(provider).check(Target("cpu", "fp32", threads)):
        pytest.skip(reason)
    bundle = load_bundle(model)
    planner = TunedPlanner(bundle, Request("cpu", "fp32", provider, threads))
    session = AnalysisSession(bundle, *planner.first(), planner)
    manifest, given = session.bundle.manifest, image_of(model)
    grid, multiple = manifest.input.grid, manifest.input.multiple
    tensor = network_input(tuple(prepare(one, grid, multiple=multiple) for one in given), manifest, threads)
    _, bare = planner(MatrixSize(*tensor.shape[2:]), len(tensor))
    compare({"session": lambda: session.run(*given), "bare": lambda: bare.heads(tensor)}, baseline="bare", settle=True)
    result, expected = session.run(*given), bare.heads(tensor)
    assert result.cam.shape == (1, len(result.labels), *given[0].pixels.shape[1:])
    if manifest.task == "detection":
        assert tensor.shape == (1, 2, SIDE, SIDE)
        chance = 1 / (1 + np.exp(-expected["heat"].max() / manifest.analysis.temperature))
        assert max((one.score for one in result.detections[0]), default=0) == pytest.approx(chance, abs=1e-3) or (
            chance < result.threshold
        )
    else:
        logits = expected["logits"][0, :, 0, 0] / manifest.analysis.temperature
        assert result.probabilities[0] == pytest.approx(np.exp(logits) / np.exp(logits).sum(), abs=1e-3)


def image_of(model: str) -> list[Frames]:
    """Return an image for each channel."""
    bundle = load_bundle(model)
    taken, golden = bundle.manifest.input, bundle.golden_heads.input[0]
    assert taken.grid is not None
    pitch = taken.grid.pitch_mm or 1.0
    channels = images.counts(MatrixSize(SIDE, SIDE), len(golden)) if taken.grid.kind == "pitch" else golden
    options = {"units": taken.units, "modality": bundle.manifest.modalities[0], "pixel_spacing_mm": (pitch, pitch)}
    return [Frames.from_array(channel[np.newaxis], **options) for channel in channels]
