"""A folder that appears whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from ..engine.errors import InputError

__all__ = ["new_folder", "require_new"]


def require_new(output: Path) -> None:
    """Refuse a place that is taken, before long work begins.

    Raises
    ------
    InputError
        If something is there already, but for an empty folder, or the place has no name.
    """
    if output.name in ("", ".."):
        raise InputError(f"{output}: is no name for a new folder; give one.")
    try:
        taken = output.is_symlink() or (output.exists() and (not output.is_dir() or any(output.iterdir())))
    except OSError as error:
        raise InputError(f"{output}: cannot be read ({error.strerror}); choose another place.") from error
    if taken:
        raise InputError(f"{output} is there already; name another place, or remove it first.")


@contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """Give a block a folder to fill that takes the name `output` only when the block ends well.

    Parameters
    ----------
    output : Path
        A name that is free, or an empty folder.

    Yields
    ------
    Path
        An empty folder beside it, so that the last step is one rename.

    Raises
    ------
    InputError
        If the place is taken or cannot be written to.

    Examples
    --------
    >>> place = getfixture("tmp_path") / "made"
    >>> with new_folder(place) as folder:
    ...     _ = (folder / "a.txt").write_text("whole")
    >>> [path.name for path in place.iterdir()]
    ['a.txt']
    """
    require_new(output)
    scratch = output.with_name(f".{output.name[:64]}.{uuid4().hex}.part")
    try:
        scratch.mkdir(parents=True)
        yield scratch
        scratch.rename(output)
    except OSError as error:
        raise InputError(f"{output}: cannot be written ({error.strerror or error}); choose another place.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
