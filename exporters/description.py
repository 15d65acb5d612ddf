"""What a family of models says about one of them, besides its history."""

from dataclasses import dataclass
from typing import Literal

from ..engine.bundle import Domain, Input


@dataclass(frozen=True)
class Description:
    """What a model takes, keeps and was trained on; see :class:`~photopeak.engine.bundle.Manifest` for each."""

    modality: str
    input: Input
    conserve: Literal["sum", "mean", "none"]
    matrices: tuple[str, ...]
    domain: Domain
    counts_per_pixel: tuple[float, float] | None = None
    coincidences: tuple[float, float] | None = None
