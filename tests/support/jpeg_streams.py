"""Lossless JPEG, written from the standard (ISO/IEC 10918-1 annex H)."""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.uint16]


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def category(difference: int) -> int:
    return 16 if difference == 32768 else int(abs(difference)).bit_length()


class BitWriter:
    def __init__(self) -> None:
        self.bits = ""

    def put(self, value: int, n: int) -> None:
        self.bits += format(value, f"0{n}b") if n else ""

    def flush(self) -> bytes:
        padded = self.bits + "1" * (-len(self.bits) % 8)
        self.bits = ""
        data = bytes(int(padded[i : i + 8], 2) for i in range(0, len(padded), 8))
        return data.replace(b"\xff", b"\xff\x00")


def predict(samples: Samples, y: int, x: int, predictor: int, first_row: bool, start: int) -> int:
    if first_row:
        return int(samples[y, x - 1]) if x else start
    above = int(samples[y - 1, x])
    if x == 0:
        return above
    left, corner = int(samples[y, x - 1]), int(samples[y - 1, x - 1])
    return (
        left,
        above,
        corner,
        left + above - corner,
        left + ((above - corner) >> 1),
        above + ((left - corner) >> 1),
        (left + above) >> 1,
    )[predictor - 1]


def encode(
    samples: Samples, precision: int, predictor: int = 1, interval_rows: int = 0, point_transform: int = 0
) -> bytes:
    """Return a stream of process 14 whose 17 categories have codes of five bits."""
    rows, columns = samples.shape
    samples = (samples >> point_transform).astype(np.uint16)
    writer, scan = BitWriter(), b""
    for y in range(rows):
        first_row = y == 0 or bool(interval_rows and y % interval_rows == 0)
        if y and first_row:
            scan += writer.flush() + bytes([0xFF, 0xD0 + (y // interval_rows - 1) % 8])
        for x in range(columns):
            start = 1 << (precision - point_transform - 1)
            difference = (int(samples[y, x]) - predict(samples, y, x, predictor, first_row, start)) % 65536
            difference -= 65536 if difference > 32768 else 0
            n = category(difference)
            writer.put(n, 5)
            if n < 16:
                writer.put(difference if difference >= 0 else difference + (1 << n) - 1, n)
    scan += writer.flush()
    table = bytes([0]) + bytes([0, 0, 0, 0, 17] + [0] * 11) + bytes(range(17))
    frame = bytes([precision]) + rows.to_bytes(2, "big") + columns.to_bytes(2, "big") + bytes([1, 1, 0x11, 0])
    interval = segment(0xDD, (interval_rows * columns).to_bytes(2, "big")) if interval_rows else b""
    start_of_scan = segment(0xDA, bytes([1, 1, 0, predictor, 0, point_transform]))
    return b"\xff\xd8" + segment(0xC4, table) + segment(0xC3, frame) + interval + start_of_scan + scan + b"\xff\xd9"
