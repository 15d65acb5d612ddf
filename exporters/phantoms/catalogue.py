"""Every phantom that ``photopeak phantom`` offers: one literal tuple per family."""

from ...engine.errors import UsageError
from . import ct_scans, emission_tomography, parathyroid_scans, planar, slice_scans
from .simulation import Phantom

PHANTOMS: tuple[Phantom, ...] = (
    *planar.PHANTOMS,
    *parathyroid_scans.PHANTOMS,
    *emission_tomography.PHANTOMS,
    *slice_scans.PHANTOMS,
    *ct_scans.PHANTOMS,
)


def find(name: str) -> Phantom:
    """Return a phantom by its name.

    Parameters
    ----------
    name : str
        As ``photopeak phantom --list`` shows it.

    Raises
    ------
    UsageError
        If there is none; the sentence lists the names.

    Examples
    --------
    >>> find("flood").title
    'Even sheet over the whole field'
    """
    for phantom in PHANTOMS:
        if phantom.name == name:
            return phantom
    raise UsageError(f"there is no phantom '{name}', choose {', '.join(phantom.name for phantom in PHANTOMS)}.")
