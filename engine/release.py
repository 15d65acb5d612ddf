"""Which Photopeak this is."""

from functools import cache
from importlib.metadata import version

__all__ = ["release"]


@cache
def release() -> str:
    """Return the version of Photopeak, looked up once: parsing the metadata of a distribution takes half a millisecond.

    Examples
    --------
    >>> release().split(".")[0].isdigit()
    True
    """
    return version("photopeak")
