"""The frames of one source object after processing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...frames import FrameInfo, Units
from ...result import Result
from ..attributes import integer
from ..instance import Instance
from .derivation import Derivation
from .values import Scale

__all__ = ["Part", "part_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What becomes one derived object.

    Parameters
    ----------
    source : Instance
        The object that the frames came from.
    pixels : ndarray, shape (n, rows, columns), float32
        Processed frames in the order of the source object.
    info : tuple of FrameInfo
        One for each frame.
    units : Units
        What the pixels mean.
    derivation : Derivation
        What was done.
    conserve : str
        ``sum``, ``mean`` or ``none``: what each frame keeps.
    """

    source: Instance
    pixels: NDArray[np.float32]
    info: tuple[FrameInfo, ...]
    units: Units
    derivation: Derivation
    conserve: str

    @property
    def scale(self) -> Scale:
        """What turned the source's stored values into `units`."""
        return Scale(np.array([f.slope for f in self.info]), np.array([f.intercept for f in self.info]))

    @property
    def has_negative(self) -> bool:
        """Whether a signed type is needed."""
        return bool(self.pixels.min() < 0)

    @property
    def source_is_signed(self) -> bool:
        """Whether the source stores signed values."""
        return bool(integer(self.source.header, "PixelRepresentation"))


def part_of(result: Result, index: int, derivation: Derivation) -> Part:
    """Return the frames that came from object `index` of ``result.source.instances``.

    Raises
    ------
    InputError
        If some frames of the object are missing: its vectors and sequences would no longer match.
    """
    source, info = result.source.instances[index], result.source.info
    found = sorted((f.number, i) for i, f in enumerate(info) if f.instance == index)
    wanted = integer(source.header, "NumberOfFrames") or 1
    if [number for number, _ in found] != [*range(1, wanted + 1)]:
        raise InputError(
            f"{source.path}: {len(found)} of {wanted} frames were processed; process all of them to write the object."
        )
    order = [i for _, i in found]
    pixels = (
        result.frames.pixels[order[0] : order[-1] + 1]
        if order == [*range(order[0], order[-1] + 1)]
        else result.frames.pixels[order]
    )
    return Part(
        source=source,
        pixels=pixels,
        info=tuple(info[i] for i in order),
        units=result.frames.units,
        derivation=derivation,
        conserve=result.bundle.manifest.image_output.conserve,
    )
