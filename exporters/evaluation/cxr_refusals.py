"""What ``cxr-view`` says of inputs that are no frontal chest radiographs.

The collections hold no lateral radiograph. Laterals are simulated here, from seeds that the training has not seen, of the same
digital thorax as those that it has; the other inputs are of kinds that it has not, except where it says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ...engine.analysis.session import AnalysisSession
from ...engine.bundle import Bundle
from ...engine.frames import Frames, Units
from ...engine.session import load
from ..phantoms.catalogue import find
from ..phantoms.radiographs import draw_anatomy, radiograph
from ..phantoms.simulation import Request
from ..recipes.analysis.radiograph_images import Radiograph, simulated_radiographs

__all__ = ["Refusal", "other_inputs", "refusals"]

_SEED = 4711
_SIMULATED = 40
_SIDE = 96
_ORGANS = ("lungs", "liver", "kidneys", "thyroid")
_SCANS = 5
_PHOTOGRAPHS = [
    "astronaut",
    "brick",
    "camera",
    "cat",
    "checkerboard",
    "clock",
    "coffee",
    "coins",
    "grass",
    "gravel",
    "hubble_deep_field",
    "immunohistochemistry",
    "moon",
    "page",
    "rocket",
    "text",
]


@dataclass(frozen=True)
class Refusal:
    """Verdicts on inputs of one kind.

    Parameters
    ----------
    kind : str
        What they are.
    images : int
        How many.
    inside, border, outside : float
        Shares of the verdicts [1].
    """

    kind: str
    images: int
    inside: float
    border: float
    outside: float


def refusals(bundle: Bundle, radiographs: tuple[Radiograph, ...]) -> tuple[Refusal, ...]:
    """Return what a model says of frontal radiographs and of everything else.

    Parameters
    ----------
    bundle : Bundle
        The model.
    radiographs : tuple of Radiograph
        Frontal ones, which also lie on their side, stand on their head and are shown in negative.
    """
    session, found = cast(AnalysisSession, load(bundle)), []
    for kind, images in other_inputs(radiographs):
        verdicts = [session.run(_frames(image)).domains[0].verdict for image in images]
        shares = [
            sum(one == verdict for one in verdicts) / len(verdicts) for verdict in ("inside", "border", "outside")
        ]
        found.append(Refusal(kind, len(images), *shares))
    return tuple(found)


def other_inputs(radiographs: tuple[Radiograph, ...]) -> Iterator[tuple[str, list[NDArray[np.float32]]]]:
    """Yield the name and the images of each kind."""
    frontal = [one.pixels for one in radiographs]
    yield "frontal radiographs of the training", frontal
    simulated = simulated_radiographs(_SIMULATED, _SEED, side=_SIDE)
    yield "simulated frontal radiographs", [one.pixels for one in simulated]
    yield "simulated lateral radiographs", _laterals()
    yield "frontal, on a side", [np.ascontiguousarray(np.rot90(image)) for image in frontal]
    yield "frontal, upside down", [np.ascontiguousarray(image[::-1]) for image in frontal]
    yield "frontal, black and white exchanged", [image.max() - image for image in frontal]
    yield "photographs", _photographs()
    yield "simulated planar scintigraphy", _scintigraphy()
    yield "noise", list(np.random.default_rng(_SEED).random((_SIMULATED, _SIDE, _SIDE), np.float32))


def _laterals() -> list[NDArray[np.float32]]:
    found = []
    for index in range(_SIMULATED):
        rng = np.random.default_rng((_SEED, index))
        found.append(radiograph(draw_anatomy(rng, "lateral"), "lateral", rng, side=_SIDE))
    return found


def _photographs() -> list[NDArray[np.float32]]:
    """Return the photographs that come with scikit-image."""
    from skimage import data
    from skimage.color import rgb2gray

    images = (getattr(data, name)() for name in _PHOTOGRAPHS)
    return [np.asarray(rgb2gray(image) if image.ndim == 3 else image, np.float32) for image in images]


def _scintigraphy() -> list[NDArray[np.float32]]:
    """Return planar scans of organs, the lungs among them."""
    return [
        np.asarray(find(name).acquire(Request(seed=_SEED + seed, matrix=(128, 128)), _silent).pixels[0], np.float32)
        for name in _ORGANS
        for seed in range(_SCANS)
    ]


def _silent(text: str) -> None:
    """Say nothing."""


def _frames(image: NDArray[np.float32]) -> Frames:
    return Frames.from_array(image, units=Units.NONE)
