"""The models that ship with Photopeak."""

from pathlib import Path
from typing import Literal

from ..bundle import MANIFEST, Bundle, open_bundle
from ..errors import ModelError

__all__ = ["load_bundle", "locate", "names"]

HOME = Path(__file__).parent


def names(gives: Literal["all", "images", "findings"] = "all") -> tuple[str, ...]:
    """Return the names of the models that ship, sorted.

    Parameters
    ----------
    gives : {"all", "images", "findings"}
        Only models that make images, or only those that detect or classify.

    Examples
    --------
    >>> "scint-sr-x2" in names("images")
    True
    """
    found = sorted(path.parent.name for path in HOME.glob(f"*/{MANIFEST}"))
    if gives == "all":
        return tuple(found)
    return tuple(name for name in found if (load_bundle(name).manifest.analysis is None) == (gives == "images"))


def locate(model: str | Path) -> Path:
    """Return the folder of a model that ships, or of a bundle of the user's own.

    Parameters
    ----------
    model : str or Path
        Name such as ``scint-denoise``, or the path of a bundle's folder.

    Raises
    ------
    ModelError
        If there is neither such a model nor such a folder.
    """
    if str(model) in names():
        return HOME / str(model)
    if Path(model).is_dir():
        return Path(model)
    raise ModelError(f"there is no model {str(model)!r}; use {', '.join(names())}, or the folder of a bundle.")


def load_bundle(model: str | Path) -> Bundle:
    """Open the bundle that `model` names; see :func:`locate`."""
    return open_bundle(locate(model))
