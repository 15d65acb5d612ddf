"""Frames of enhanced (multi-frame) objects: shared and per-frame functional groups."""

from pydicom.dataset import Dataset

from ..errors import InputError
from ..frames import FrameInfo, Units
from .attributes import first, items, number, tag_name
from .geometry import pixel_spacing, position
from .parse import ImageFile
from .units import frame_scaling


def is_enhanced(header: Dataset) -> bool:
    """Return whether an object describes its frames by functional groups, whatever its SOP class."""
    return "SharedFunctionalGroupsSequence" in header or "PerFrameFunctionalGroupsSequence" in header


def enhanced_frames(image: ImageFile) -> tuple[tuple[FrameInfo, ...], Units, tuple[float, float] | None]:
    """Return what each frame shows, the units, and the distance between rows and columns [mm].

    Parameters
    ----------
    image : ImageFile
        Enhanced PET, CT, XA, MR, or a legacy-converted object; frame order is the file's.

    Raises
    ------
    InputError
        If there is not one functional group item for each frame, or frames differ in units or spacing.

    References
    ----------
    * PS3.3 C.7.6.16 (multi-frame functional groups), A.56 (enhanced PET).
    """
    ds, n = image.header, image.layout.frames
    shared = first(ds, "SharedFunctionalGroupsSequence")
    groups = list(items(ds, "PerFrameFunctionalGroupsSequence")) or [Dataset()] * n
    if len(groups) != n:
        name = tag_name("PerFrameFunctionalGroupsSequence")
        raise InputError(f"{name} has {len(groups)} items for {n} frames; correct the header.")
    described = [_describe(ds, shared, group, index) for index, group in enumerate(groups)]
    units = {found for _, found, _ in described}
    spacings = {found for _, _, found in described}
    if len(units) > 1 or len(spacings) > 1:
        raise InputError("its frames have different units or pixel spacings; split the object.")
    return tuple(info for info, _, _ in described), units.pop(), spacings.pop()


def _describe(
    ds: Dataset, shared: Dataset, group: Dataset, index: int
) -> tuple[FrameInfo, Units, tuple[float, float] | None]:
    scaling = frame_scaling(ds, shared, group)
    duration_ms = number(_macro(shared, group, "FrameContentSequence"), "FrameAcquisitionDuration")
    info = FrameInfo(
        number=index + 1,
        duration_s=float("nan") if duration_ms is None else duration_ms / 1000,
        slope=scaling.slope,
        intercept=scaling.intercept,
        position_mm=position(_macro(shared, group, "PlanePositionSequence")),
    )
    return info, scaling.units, pixel_spacing(_macro(shared, group, "PixelMeasuresSequence")) or pixel_spacing(ds)


def _macro(shared: Dataset, group: Dataset, keyword: str) -> Dataset:
    """Return a functional group of a frame: its own, else the shared one."""
    return first(group, keyword) or first(shared, keyword)
