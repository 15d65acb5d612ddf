"""Scanner matrix sizes."""

from typing import NamedTuple

from .errors import UsageError


class MatrixSize(NamedTuple):
    """Rows and columns of an image.

    Parameters
    ----------
    rows, columns : int
        Number of pixels down and across [px].

    Examples
    --------
    >>> MatrixSize.parse("1024x256")
    MatrixSize(rows=1024, columns=256)
    >>> str(MatrixSize(128, 128))
    '128x128'
    """

    rows: int
    columns: int

    @classmethod
    def parse(cls, text: str) -> "MatrixSize":
        """Return the matrix size that `text`, such as ``256`` or ``1024x256``, names.

        Raises
        ------
        UsageError
            If `text` is not one or two positive whole numbers.
        """
        rows, cross, columns = text.strip().lower().partition("x")
        try:
            size = cls(int(rows), int(columns if cross else rows))
        except ValueError:
            size = cls(0, 0)
        if min(size) < 1:
            raise UsageError(f"{text!r} is not a matrix size; write rows, or rows x columns, such as 256 or 1024x256.")
        return size

    @property
    def pixels(self) -> int:
        """Number of pixels of one frame."""
        return self.rows * self.columns

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}"


SCANNER_MATRICES = tuple(MatrixSize.parse(text) for text in ("64", "128", "256", "512", "1024", "1024x256"))
