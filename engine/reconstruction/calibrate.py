"""Measured views with the small errors of their geometry taken out."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...kernels.reconstruction.adjustments import Fault
from ...kernels.reconstruction.alignment import calibrate_images
from ...kernels.reconstruction.calibration import calibrate_landmarks
from ..errors import UsageError
from .geometry_file import read_toml, spelled_mistakes
from .measured import Measured

__all__ = ["Landmark", "LandmarkFile", "calibrated", "parsed_faults", "read_landmarks"]

_BIASED = (
    "The geometry was calibrated by counts that the body attenuates, which can put the table wrong by several pixels; "
    "landmarks are safer."
)
Place = Annotated[tuple[float, ...], Field(max_length=2)]


class Landmark(BaseModel):
    """One thing that several views show.

    Parameters
    ----------
    name : str, optional
        For people.
    at : tuple
        For each view, in order, its row and column [pixels], counted from 0 at the centre of the first; empty where it is not
        seen.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = ""
    at: tuple[Place, ...] = Field(min_length=2)


class LandmarkFile(BaseModel):
    """Everything that a file of landmarks may say.

    Parameters
    ----------
    landmark : tuple of Landmark
        Two or more.
    error_px : float, default 0.5
        Standard error of their places [pixels].
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    landmark: tuple[Landmark, ...] = Field(min_length=2, max_length=10_000)
    error_px: Annotated[float, Field(gt=0)] = 0.5


def read_landmarks(path: Path) -> LandmarkFile:
    """Return the landmarks of a TOML file.

    Raises
    ------
    UsageError
        If the file cannot be read or says something wrong.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "landmarks.toml"
    >>> _ = path.write_text('''
    ... error_px = 1.0
    ...
    ... [[landmark]]
    ... name = "tip of the catheter"
    ... at = [[168.3, 417.7], [285.5, 177.7]]   # row and column in the first and the second view
    ...
    ... [[landmark]]
    ... at = [[323.0, 213.8], []]               # not seen in the second
    ... ''')
    >>> [one.at[1] for one in read_landmarks(path).landmark]
    [(285.5, 177.7), ()]
    """
    try:
        found = LandmarkFile.model_validate(read_toml(path))
    except ValidationError as error:
        raise UsageError(f"{path}: {spelled_mistakes(error)}; correct it.") from error
    for number, one in enumerate(found.landmark, start=1):
        if any(len(place) == 1 for place in one.at):
            raise UsageError(f"{path}: landmark {number} has a place of one number; give row and column, or none.")
    return found


def parsed_faults(words: str) -> tuple[Fault, ...]:
    """Return kinds of errors from words with commas between them.

    Raises
    ------
    UsageError
        If one is unknown.

    Examples
    --------
    >>> parsed_faults("table, shift")
    ('table', 'shift')
    """
    asked = [word.strip() for word in words.split(",")]
    unknown = [word for word in asked if word not in get_args(Fault)]
    if unknown:
        raise UsageError(f"{unknown[0]!r} cannot be calibrated; give some of {', '.join(get_args(Fault))}.")
    return tuple(fault for fault in get_args(Fault) if fault in asked)


def calibrated(
    measured: Measured,
    adjust: Sequence[Fault] = ("table",),
    landmarks: Path | None = None,
    *,
    attenuated: bool = True,
) -> Measured:
    """Return views whose geometry fits landmarks, or the images themselves.

    Parameters
    ----------
    measured : Measured
        Two or more views.
    adjust : sequence of {"table", "rotation", "shift", "magnification"}, default ("table",)
        What may be wrong, see :mod:`photopeak.kernels.reconstruction.calibration`.
    landmarks : path, optional
        TOML file, see :func:`read_landmarks`; without it, images are compared on the planes that their views share.
    attenuated : bool, default True
        Whether a gamma camera's photons were attenuated, see
        :func:`photopeak.kernels.reconstruction.alignment.calibrate_images`.

    Returns
    -------
    Measured
        With the residual before and after, and each change, as facts; with a warning where attenuation biases it.

    Raises
    ------
    UsageError
        If the file is wrong, or nothing known is to be adjusted.
    InputError
        If the landmarks or images determine nothing.
    """
    if landmarks is None:
        found = calibrate_images(measured.images, measured.geometry, adjust=adjust, attenuated=attenuated)
    else:
        told = read_landmarks(landmarks)
        views = len(measured.geometry.views)
        for number, one in enumerate(told.landmark, start=1):
            if len(one.at) != views:
                raise UsageError(
                    f"{landmarks}: landmark {number} has {len(one.at)} places for {views} views; give [] where it is not seen."
                )
        places = np.array([[place or (np.nan, np.nan) for place in one.at] for one in told.landmark])
        found = calibrate_landmarks(
            measured.geometry, list(places.transpose(1, 0, 2)), adjust=adjust, error_px=told.error_px
        )
    biased = landmarks is None and attenuated and not measured.geometry.cone_beam
    warnings = (*measured.warnings, *([_BIASED] if biased else []))
    return replace(measured, geometry=found.geometry, warnings=warnings, facts=(*measured.facts, *found.facts))
