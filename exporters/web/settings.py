"""What the page must know of a bundle: its manifest as JSON, and golden frames to check the browser with."""

import io
import json
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.bundle import Bundle
from ...engine.domain_features import words_for
from ...engine.errors import ModelError
from . import npm

__all__ = ["TOLERANCE", "golden_files", "page_settings"]

TOLERANCE = 1e-4
"""Largest difference from the golden output that the page takes from a backend, relative to its peak."""
_FORMAT = 1
_GOLDEN_FRAMES = 2


def page_settings(bundle: Bundle, *, files: dict[str, str], webgpu: bool) -> bytes:
    """Return the settings of the page, JSON.

    Parameters
    ----------
    bundle : Bundle
        A model whose output is an image.
    files : dict of str to str
        The file of each precision's graph.
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
        "graphs": files,
        "domain": _domain(bundle),
        "tolerance": TOLERANCE,
        "webgpu": webgpu,
        "versions": {package.name: package.version for package in (npm.ONNX_RUNTIME, npm.DICOM_PARSER)}
        | {"photopeak": version("photopeak")},
    }
    return json.dumps(settings, indent=1, allow_nan=False).encode()


def golden_files(bundle: Bundle) -> dict[str, bytes]:
    """Return the first golden frames: input, float32 output and truth of the graph, shape (n, rows, columns)."""
    arrays = bundle.golden.arrays()
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
