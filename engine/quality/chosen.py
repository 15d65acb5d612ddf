"""Which frames of a long series a page shows."""

__all__ = ["chosen_frames"]

MOST_FRAMES = 24
# Pixels of one result that go into the viewer; about a byte each in the file.
MOST_PIXELS = 4 << 20


def chosen_frames(frames: int, pixels: int) -> list[int]:
    """Return the frames to show: all, or evenly spaced ones that keep the file small.

    Examples
    --------
    >>> chosen_frames(3, 128 * 128), chosen_frames(9, 2048 * 512), chosen_frames(9, 4096 * 4096)
    ([0, 1, 2], [0, 3, 5, 8], [4])
    """
    most = max(1, min(MOST_FRAMES, MOST_PIXELS // pixels))
    if frames <= most:
        return list(range(frames))
    if most == 1:
        return [frames // 2]
    return [round(i * (frames - 1) / (most - 1)) for i in range(most)]
