"""Which objects belong together, and in which order."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .attributes import number, text
from .enhanced import is_enhanced
from .geometry import normal, orientation, pixel_spacing, position, rounded
from .parse import ImageFile
from .quiet import input_errors

_SAME_PLACE_MM = 0.01


def group(images: Iterable[ImageFile]) -> list[list[ImageFile]]:
    """Return the stacks that images form, each in spatial order.

    NM, multi-frame and enhanced objects stand alone: they order their frames themselves. The others are stacked by series,
    matrix, spacing, orientation and units. Nothing depends on the order or the names of the files.

    Parameters
    ----------
    images : iterable of ImageFile
        Different objects.

    Returns
    -------
    list of list of ImageFile
        Stacks in the order of their series and instance numbers.
    """
    stacks: dict[tuple[Any, ...], list[ImageFile]] = defaultdict(list)
    for image in images:
        with input_errors(image.path):
            stacks[_key(image)].append(image)
    ordered = [_in_order(stack) for stack in stacks.values()]
    return sorted(ordered, key=lambda stack: _rank(stack[0])) if len(ordered) > 1 else ordered


def gaps(stack: Sequence[ImageFile]) -> str:
    """Return a sentence when a stack of slices has a hole, else nothing."""
    places = sorted(set(_places(map(_depth, stack)).values()))
    steps = np.diff(np.array(places, dtype=np.float64))
    if len(steps) < 2 or steps.max() < 1.5 * np.median(steps):
        return ""
    return f"Slices are unevenly spaced (usually {np.median(steps):.2f} mm, at most {steps.max():.2f} mm): some may be missing."


def _key(image: ImageFile) -> tuple[Any, ...]:
    ds = image.header
    if text(ds, "Modality") == "NM" or image.layout.frames > 1 or is_enhanced(ds):
        return (text(ds, "SOPInstanceUID"),)
    cosines = orientation(ds)
    lies = text(ds, "PatientOrientation") if cosines is None else tuple(np.round(cosines.ravel(), 3).tolist())
    return (
        *(text(ds, keyword) for keyword in ("SeriesInstanceUID", "SOPClassUID", "Modality", "Units", "RescaleType")),
        image.layout.matrix,
        rounded(pixel_spacing(ds)),
        lies,
        position(ds) is None,
    )


def _in_order(stack: list[ImageFile]) -> list[ImageFile]:
    """Return slices along the normal, those of one place by time.

    Without Image Position the Instance Number decides: it is the only element of the general image module that is meant
    to order images, and projections (CR, XA) have no other.
    """
    if len(stack) == 1:
        return stack
    depths = list(map(_named_depth, stack))
    places = _places(depths)
    ordered = sorted(zip(depths, stack, strict=True), key=lambda pair: _order(places, *pair))
    return [image for _, image in ordered]


def _order(places: dict[float, float], depth: float | None, image: ImageFile) -> tuple[Any, ...]:
    with input_errors(image.path):
        return (*_rank(image),) if depth is None else (places[depth], *_time(image), *_rank(image))


def _named_depth(image: ImageFile) -> float | None:
    with input_errors(image.path):
        return _depth(image)


def _depth(image: ImageFile) -> float | None:
    """Return the place along the slice normal [mm]."""
    cosines, place = orientation(image.header), position(image.header)
    return None if cosines is None or place is None else float(normal(cosines) @ np.array(place))


def _places(depths: Iterable[float | None]) -> dict[float, float]:
    """Return for each depth that of its place: the frames of a dynamic series share one, but for rounding [mm]."""
    places: dict[float, float] = {}
    place = float("-inf")
    for depth in sorted({depth for depth in depths if depth is not None}):
        place = depth if depth - place > _SAME_PLACE_MM else place
        places[depth] = place
    return places


def _time(image: ImageFile) -> tuple[Any, ...]:
    """Return what orders images of one place."""
    ds = image.header
    stamp = text(ds, "AcquisitionDate") or text(ds, "AcquisitionDateTime"), text(ds, "AcquisitionTime")
    return (*stamp, number(ds, "FrameReferenceTime") or 0.0, number(ds, "TriggerTime") or 0.0)


def _rank(image: ImageFile) -> tuple[float, float, str]:
    """Return series number, instance number and, so that ties never depend on file names, the object's UID."""
    ds = image.header
    return number(ds, "SeriesNumber") or 0.0, number(ds, "InstanceNumber") or 0.0, text(ds, "SOPInstanceUID")
