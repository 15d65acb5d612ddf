"""What stays on a GPU: sessions against ONNX Runtime from NumPy arrays, and the kernels round a graph against bare copies.

``session`` is what a user calls, with everything that it includes: admission, upload, staging, the recorded graph,
finishing and download into new memory. Its peer is ONNX Runtime's CUDA provider as its documentation shows it first: a NumPy
array goes into ``run`` and one comes out, of the same graph in the same arithmetic (TF32 is off on both sides), without
admission or conserved counts. Loading, warming up and recording are in neither.

``stage`` and ``finish`` are timed for large batches that lie on the device, with waiting for their end, in turns with copies
inside of the device's memory of as many bytes as they have to move: staging reads 16-bit integers and writes floats,
finishing reads what the graph gave twice and writes frames once. The share of the copy's bandwidth is noted with each figure.
The same runs on the CPU twin, where it proves the benchmark and says what one thread of the host does.
"""

from dataclasses import replace

import numpy as np
import pytest

from photopeak.engine import _native
from photopeak.engine import frame_operations as fo
from photopeak.engine.graph import check_graph
from photopeak.engine.providers import Target, find
from photopeak.engine.providers.onnxruntime_module import onnxruntime_module
from photopeak.engine.session import load_for_images
from photopeak.engine.tiling import Tiling
from photopeak.engine.zoo import names

# Pixels of a batch: hundreds of megabytes, beyond every cache of a GPU; a thousandth where only the code is tried.
PIXELS = {"cuda": 1 << 26, "cpu": 1 << 22}
LAUNCHES = {"cuda": 20, "cpu": 1}
BYTES_MOVED = {"stage": 2 + 4, "finish": 4 + 4 + 4}  # for each pixel
STEP = 48


@pytest.fixture
def plain():
    """Return a function from a checked graph to ONNX Runtime's own way: arrays in, arrays out."""

    def make(graph):
        onnxruntime = onnxruntime_module()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(
            graph.data, options, providers=[("CUDAExecutionProvider", {"use_tf32": "0"})], enable_fallback=0
        )
        return lambda tensor: session.run(list(graph.outputs), {graph.input: tensor})

    return make


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("model", names("images"))
def bench_device_session(compare, frames, plain, model, precision, threads):
    if reason := find("onnxruntime").check(Target("cuda", precision, threads)):
        pytest.skip(reason)
    session = load_for_images(
        model, provider="onnxruntime", device="cuda", precision=precision, threads=threads, max_loss_db=float("inf")
    )
    manifest = session.bundle.manifest
    frames = replace(frames, units=manifest.input.units, modality=manifest.modalities[0])
    run, tensor = plain(check_graph(session.bundle, precision)), np.ascontiguousarray(frames.pixels[:, np.newaxis])
    contestants = {
        "photopeak": lambda: session.run(frames),
        "ONNX Runtime CUDA from NumPy arrays": lambda: run(tensor),
    }
    compare(contestants, baseline="photopeak", settle=True)
    result = session.run(frames)
    assert result.frames.pixels.shape[1:] == run(tensor)[0].shape[2:]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("operation", ["stage", "finish"])
def bench_device_kernels(benchmark, compare, counts, matrix, operation, device):
    if device == "cuda" and (problem := fo.cuda_problem()):
        pytest.skip(problem)
    queue, tiling = _native.DeviceQueue(device, 0), Tiling(matrix, step=STEP)
    pixels = PIXELS[device] // (1000 if benchmark.disabled else 1)
    n = max(1, pixels // matrix.pixels)
    pipeline = _native.DevicePipeline(queue, tiling.layout, n, "sum")
    batch, target = np.repeat(counts, n, axis=0), float(counts.sum())
    assert pipeline.fill(batch, 1.0, 0.0, 0.0, 1.0, target, 1.0, 1)
    pipeline.upload()
    pipeline.stage(0)
    padded = 4 * n * tiling.tile.pixels
    queue.copy(pipeline.input, pipeline.output, padded)
    # A copy reads and writes each byte.
    moved = BYTES_MOVED[operation] * n * matrix.pixels // 2
    launches, queued = LAUNCHES[device], {"stage": lambda: pipeline.stage(0), "finish": pipeline.finish}[operation]

    def repeated(work):
        for _ in range(launches):
            work()
        queue.wait()

    def copy():
        for start in range(0, moved, padded):
            queue.copy(pipeline.input, pipeline.output, min(padded, moved - start))

    compared = compare({operation: lambda: repeated(queued), "copy": lambda: repeated(copy)}, "copy", settle=True)
    benchmark.extra_info["share of the copy's bandwidth"] = 1 / compared.ratio(operation, "copy").value
    queue.copy(pipeline.input, pipeline.output, padded)
    pipeline.finish()
    pipeline.download()
    pipeline.wait()
    np.testing.assert_array_equal(pipeline.take(None, 1)[0], batch)
