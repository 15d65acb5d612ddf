"""What a model of findings can take: values, units and phases, checked before anything runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..dicom.attributes import text
from ..errors import InputError, UsageError
from ..frames import Frames, Units
from ..manifest import Manifest

__all__ = ["Given", "admit", "by_channel", "check_threshold"]

Given = Frames | NDArray[Any] | None


def by_channel(manifest: Manifest, images: Sequence[Given], named: Mapping[str, Given]) -> tuple[Frames | None, ...]:
    """Return what was given for each channel of a model.

    Parameters
    ----------
    manifest : Manifest
        The model's.
    images : sequence of Frames, ndarray or None
        In the order of the channels.
    named : mapping of str to Frames, ndarray or None
        By the names of the channels.

    Raises
    ------
    UsageError
        If it is not clear which image is which channel, or one is missing that is needed.
    InputError
        If the images do not have the same number of frames, or are of different patients.
    """
    channels, taken = manifest.input.channels, manifest.input
    names = " and ".join(channels)
    if unknown := sorted(set(named) - set(channels)):
        wanted = f"it takes {names}" if channels else "it takes one image"
        raise UsageError(f"{manifest.name} has no input {unknown[0]!r}; {wanted}.")
    if len(images) > taken.depth or (images and named):
        raise UsageError(f"{manifest.name} takes {names or 'one image'}, each given once; see its help.")
    if len(images) == 1 and len(channels) > 1:
        ways = " or ".join(f"{name}=" for name in channels)
        raise UsageError(f"{manifest.name} takes {names}; say which one the only image is, with {ways}.")
    given = images or [named.get(name) for name in channels]
    found = tuple(None if one is None else _as_frames(one, manifest) for one in given)
    present = [one for one in found if one is not None]
    if not present or (len(present) < taken.depth and not taken.optional):
        if taken.optional:
            raise UsageError(f"{manifest.name} needs {' or '.join(channels)}; give at least one of them.")
        raise UsageError(f"{manifest.name} needs {names or 'an image'}; give {'all' if channels else 'one'}.")
    if len({len(one) for one in present}) > 1:
        counts = ", ".join(f"{one.source} {len(one)}" for one in present)
        raise InputError(f"the phases have different numbers of frames ({counts}); give one frame for each.")
    patients = {text(one.header, "PatientID") for image in present for one in image.instances} - {""}
    if len(present) > 1 and len(patients) > 1:
        names = " and ".join(one.source for one in present)
        raise InputError(f"{names} are of different patients; phases of two patients are never mixed.")
    return found


def admit(source: Frames, manifest: Manifest) -> tuple[Frames, tuple[str, ...]]:
    """Return frames that the model can take, and warnings about them.

    Raises
    ------
    InputError
        If the values are not finite, or not in the model's units.
    """
    units, modalities = manifest.input.units, (*manifest.modalities, "OT")
    nameless = source.units is Units.NONE and source.modality in modalities
    if source.units != units and not nameless:
        raise InputError(
            f"{source.source}: {source.modality} values in units {source.units}, {manifest.name} takes {units}; "
            "choose a model for them ('photopeak models')."
        )
    _, lowest, misfit = _native.admit(source.pixels, 1)
    if misfit >= 0:
        raise InputError(f"{source.source}: frame {misfit + 1} holds NaN or infinite values; mend them first.")
    warnings = list(source.notes)
    if source.units != units:
        warnings.append(f"{source.source} does not say its units; values were taken as {units}.")
    if source.modality not in modalities:
        known = ", ".join(manifest.modalities)
        warnings.append(f"{source.source} is {source.modality}; {manifest.name} was trained on {known}.")
    if lowest < 0 and units is Units.COUNTS:
        warnings.append(f"{source.source}: negative counts (down to {lowest:g}) were taken as 0.")
        source = source.with_pixels(np.maximum(source.pixels, np.float32(0)))
    return source, tuple(warnings)


def check_threshold(threshold: float) -> None:
    """Refuse a threshold that is no probability.

    Raises
    ------
    UsageError
        If it is not between 0 and 1.
    """
    if not 0 < threshold < 1:
        raise UsageError(f"threshold={threshold} is no probability; use one between 0 and 1.")


def _as_frames(given: Frames | NDArray[Any], manifest: Manifest) -> Frames:
    """Take an array at its word: the model's units, and pixels of its grid where that has lengths."""
    if isinstance(given, Frames):
        return given
    taken = manifest.input
    pitch = taken.grid.pitch_mm if taken.grid else None
    notes = (f"The array has no pixel spacing; {pitch:g} mm were taken, those of the model's grid.",) if pitch else ()
    return Frames.from_array(
        np.asarray(given),
        units=taken.units,
        modality=manifest.modalities[0],
        pixel_spacing_mm=(pitch, pitch) if pitch else None,
        notes=notes,
    )
