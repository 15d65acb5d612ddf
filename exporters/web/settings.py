"""What the page must know of a bundle: its manifest as JSON, and golden frames to check the browser with."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.bundle import Bundle
from ...engine.domain_features import words_for
from ...engine.errors import ModelError
from ...engine.providers import Precision
from . import npm

__all__ = ["TOLERANCE", "PageGraph", "golden_files", "page_settings"]

TOLERANCE = 1e-4
"""Largest difference of float32 from the golden output that the page takes from a backend, relative to its peak."""
_FORMAT = 1
_GOLDEN_FRAMES = 2


@dataclass(frozen=True, slots=True)
class PageGraph:
    """A graph of the page.

    Parameters
    ----------
    data : bytes
        The checked graph, serialised.
    tolerance : float
        Largest difference from the golden output that the page takes from a backend, relative to its peak [1].
    loss_db : float
        Loss of PSNR against float32, as :func:`photopeak.engine.fidelity.measure_fidelity` gives it [dB].
    """

    data: bytes = field(repr=False)
    tolerance: float
    loss_db: float


def page_settings(bundle: Bundle, *, graphs: Mapping[Precision, PageGraph], webgpu: bool) -> bytes:
    """Return the settings of the page, JSON.

    Parameters
    ----------
    bundle : Bundle
        A model whose output is an image.
    graphs : mapping of str to PageGraph
        By precision; the first is the one that the page starts with.
    webgpu : bool
        Whether the runtime for WebGPU is there.

    Returns
    -------
    bytes
        Identity, input, output, training domain with the words of its features, versions.

    Raises
    ------
    ModelError
        If the bundle's domain statistics are of another version of the engine.
    """
    manifest = bundle.manifest
    settings = {
        "format": _FORMAT,
        **manifest.model_dump(mode="json", include={"name", "version", "title", "task", "licence", "modalities"}),
        "digest": bundle.digest,
        "input": manifest.input.model_dump(mode="json", include={"name", "units", "scaling", "multiple", "overlap"}),
        "output": manifest.image_output.model_dump(mode="json"),
        "graphs": {
            name: {"file": f"model/{name}.onnx", "tolerance": graph.tolerance, "loss_db": graph.loss_db}
            for name, graph in graphs.items()
        },
        "domain": _domain(bundle),
        "webgpu": webgpu,
        "versions": {package.name: package.version for package in npm.PACKAGES} | {"photopeak": version("photopeak")},
    }
    return json.dumps(settings, indent=1, allow_nan=False).encode()


def golden_files(bundle: Bundle) -> dict[str, bytes]:
    """Return the first golden frames: input and float32 output of the graph, shape (n, rows, columns)."""
    arrays = {"input": bundle.golden.input, "output": bundle.golden.output}
    return {f"model/golden-{name}.npy": _npy(array[:_GOLDEN_FRAMES, 0]) for name, array in arrays.items()}


def _npy(array: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def _domain(bundle: Bundle) -> dict[str, Any]:
    """Return the statistics of the training domain, and what each feature is called."""
    manifest = bundle.manifest
    domain, words = manifest.domain, words_for(manifest.input)
    if len(words) != len(domain.features):
        raise ModelError(
            f"{bundle.folder}: its domain statistics are of another version of Photopeak; export it again."
        )
    modes, precision = domain.arrays
    return {
        "features": domain.features,
        "words": words,
        "modes": modes.tolist(),
        "precision": precision.tolist(),
        "limits": domain.limits,
    }
