"""What is asked of a simulator, and what it gives: the two nouns of ``photopeak phantom``."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...engine.errors import UsageError

Kind = Literal["STATIC", "WHOLE BODY", "TOMO", "RECON TOMO", "PET", "CT"]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """How a phantom shall be acquired.

    Parameters
    ----------
    matrix : tuple of int or None
        Rows and columns; None for what is usual.
    counts : float
        Counts relative to a clinical acquisition.
    seed : int
        Decides anatomy and noise, each with a stream of its own: other counts show the same patient.
    noise_free : bool
        Give the expectation.
    slices : int
        Slices of a PET or CT series: one plane of a long object, each with noise of its own.
    projections : bool
        SPECT: give the views rather than the reconstruction.
    """

    matrix: tuple[int, int] | None = None
    counts: float = 1.0
    seed: int = 0
    noise_free: bool = False
    slices: int = 1
    projections: bool = False

    def anatomy(self) -> np.random.Generator:
        """Return the source of randomness of the patient."""
        return np.random.default_rng([self.seed, 0])

    def noise(self) -> np.random.Generator:
        """Return the source of randomness of the acquisition."""
        return np.random.default_rng([self.seed, 1])

    def square(self, usual: int, allowed: tuple[int, ...]) -> int:
        """Return the side of a square matrix.

        Raises
        ------
        UsageError
            If the matrix is not square or its side is not allowed.
        """
        rows, columns = self.matrix or (usual, usual)
        if rows != columns or rows not in allowed:
            sides = ", ".join(map(str, allowed))
            raise UsageError(f"this phantom has no matrix {rows}x{columns}, give one of {sides}.")
        return rows


@dataclass(frozen=True)
class Tracer:
    """What was injected.

    Parameters
    ----------
    agent : str
        Radiopharmaceutical.
    activity_mbq : float
        Activity [MBq].
    """

    agent: str
    activity_mbq: float


@dataclass(frozen=True)
class Turn:
    """How the views of a SPECT acquisition lie; the first is anterior, then the camera moves to the patient's left.

    Parameters
    ----------
    views : int
        Over a full turn.
    radius_mm : float
        Radius of rotation [mm].
    view_s : float
        Duration of a view [s].
    """

    views: int
    radius_mm: float
    view_s: float


@dataclass(frozen=True)
class Simulation:
    """A simulated acquisition.

    Parameters
    ----------
    kind : str
        Which kind of object it is.
    pixels : ndarray, shape (n, rows, columns), float32
        Counts, Bq/ml (PET) or HU (CT).
    pixel_mm : float
        Side of a pixel, also the distance of the slices of SPECT [mm].
    body_part : str
        Body Part Examined (0018,0015).
    physics : str
        A sentence about what was simulated, for the header.
    duration_s : float
        Of a frame, whole body, or slice [s].
    views : tuple of str
        For planar images, ``anterior`` or ``posterior`` for each frame.
    tracer : Tracer or None
        Emission studies have one.
    turn : Turn or None
        SPECT has one.
    series : str
        Series Description (0008,103E); by default the phantom's name.
    after_injection_min : float or None
        When a phase of a study of several begins [min]; by default two hours, and one series.
    """

    kind: Kind
    pixels: NDArray[np.float32] = field(repr=False)
    pixel_mm: float
    body_part: str
    physics: str
    duration_s: float = 0.0
    views: tuple[str, ...] = ()
    tracer: Tracer | None = None
    turn: Turn | None = None
    series: str = ""
    after_injection_min: float | None = None


@dataclass(frozen=True)
class Phantom:
    """An entry of the catalogue.

    Parameters
    ----------
    name, title : str
        What it is called, and what it shows.
    usual : str
        Matrices: the usual one first.
    acquire : callable
        ``acquire(request, tell)`` simulates it; `tell` learns what is being done.
    """

    name: str
    title: str
    usual: str
    acquire: Callable[[Request, Tell], Simulation] = field(repr=False)
