"""Tables of cards and studies; apart from what fills them, so that a table needs no package of an evaluation."""

from collections.abc import Iterable

__all__ = ["markdown"]


def markdown(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table in Markdown.

    Parameters
    ----------
    header : tuple of str
        Names of the columns.
    rows : iterable of tuple of str
        As many cells each.

    Examples
    --------
    >>> print(markdown(("counts", "PSNR"), [("1/4", "38.98")]))
    | counts | PSNR |
    | --- | --- |
    | 1/4 | 38.98 |
    """
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
