"""Transverse planes for computed tomography: heads, chests, abdomens, random shapes and phantoms, in Hounsfield units."""

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter

from .ct import Field, Plane, Point
from .ct_drawing import Canvas, covered

FAT, MUSCLE, WATER, CORTEX = -100.0, 50.0, 0.0, 1200.0


def head(rng: np.random.Generator, side: int = 1024) -> Plane:
    """Return a head: scalp, skull, brain with sulci and ventricles, or further down petrous bones with air cells.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws size, folds and lesions.
    side : int
        Pixels along the square.

    Examples
    --------
    >>> bool(head(np.random.default_rng(0), 128).hu.max() > 800)
    True
    """
    a, b = rng.uniform(62, 72), rng.uniform(78, 92)
    canvas = Canvas(side, _field(rng, b + 12, 200, 300))
    canvas.ellipse(0, 0, a + 10, b + 10, FAT + rng.uniform(0, 60))
    canvas.ellipse(0, 0, a + 7, b + 7, CORTEX + rng.uniform(-200, 400))
    if rng.random() < 0.7:
        canvas.ring(0, 0, a + 5.2, b + 5.2, rng.uniform(1.0, 3.0), rng.uniform(300, 700))  # diploe
    canvas.ellipse(0, 0, a, b, 5.0)
    canvas.ellipse(0, 0, a - 2, b - 2, 37.0)
    for mirror in (-1, 1):
        canvas.ellipse(mirror * 0.5 * a, 0, 0.36 * a, 0.72 * b, 28.0)
    for _ in range(int(rng.integers(20, 50))):  # sulci
        angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.75, 0.98)
        x, y = depth * (a - 4) * np.cos(angle), depth * (b - 4) * np.sin(angle)
        canvas.ellipse(x, y, rng.uniform(3, 9), rng.uniform(0.4, 1.2), 6.0, np.rad2deg(angle) + rng.normal(0, 25))
    canvas.box(0, 0, 0.6, b - 4, rng.uniform(20, 80))  # falx
    _mirrored(canvas, rng, 0.13 * a, -0.15 * b, 5.0, 0.25 * b, 5.0, 15)  # ventricles
    if rng.random() < 0.45:
        _skull_base(canvas, a, b, rng)
    _lesions(canvas, rng, 0.7 * a, 0.7 * b)
    return canvas.finished("head")


def chest(rng: np.random.Generator, side: int = 1024) -> Plane:
    """Return a chest: lungs with vessels and airways, heart and great vessels, ribs, spine, fat and muscle.

    Examples
    --------
    >>> plane = chest(np.random.default_rng(0), 128)
    >>> bool(plane.hu.min() < -950 and plane.hu.max() > 300)
    True
    """
    canvas, a, b = _trunk(rng, side)
    for mirror in (-1, 1):
        x, y, p, q = mirror * 0.45 * a, -0.03 * b, 0.36 * a, 0.68 * b
        canvas.ellipse(x, y, p, q, rng.uniform(-900, -780), mirror * 8)
        for _ in range(int(rng.integers(60, 160))):
            u, v = rng.uniform(-0.9, 0.9, 2)
            if np.hypot(u, v) < 0.9:
                _vessel(canvas, x + u * p, y + v * q, rng)
        for _ in range(int(rng.integers(0, 7))):  # airways
            u, v = rng.uniform(-0.6, 0.6, 2)
            radius = float(rng.uniform(1.0, 5.0))
            canvas.ellipse(x + u * p, y + v * q, radius, radius * rng.uniform(0.7, 1), 20.0)
            canvas.ellipse(x + u * p, y + v * q, 0.75 * radius, 0.55 * radius, -950.0)
    canvas.ellipse(0.1 * a, -0.2 * b, 0.3 * a, 0.38 * b, FAT + 20, 30)
    enhanced = float(rng.choice([45.0, rng.uniform(120, 400)]))
    canvas.ellipse(0.12 * a, -0.2 * b, 0.26 * a, 0.33 * b, rng.uniform(60, 110), 30)
    for x, y, r in ((0.08, -0.25, 0.1), (0.2, -0.12, 0.09), (0.0, -0.1, 0.07), (0.1, 0.3, 0.07)):
        canvas.ellipse(x * a + rng.normal(0, 3), y * b, r * a, r * a * rng.uniform(0.7, 1.2), enhanced)
    canvas.ellipse(0.0, 0.05 * b, 8, 9, -1000.0)
    _skeleton(canvas, a, b, rng, ribs=True)
    _lesions(canvas, rng, 0.6 * a, 0.6 * b)
    return canvas.finished("chest")


def abdomen(rng: np.random.Generator, side: int = 1024) -> Plane:
    """Return an abdomen: liver with vessels, spleen, kidneys, bowel with gas, aorta, spine, fat.

    Examples
    --------
    >>> abdomen(np.random.default_rng(0), 128).field_mm > 250
    True
    """
    canvas, a, b = _trunk(rng, side)
    enhanced = rng.random() < 0.6
    liver = rng.uniform(90, 130) if enhanced else rng.uniform(45, 65)
    canvas.ellipse(-0.4 * a, -0.1 * b, 0.42 * a, 0.6 * b, liver, 12)
    for _ in range(int(rng.integers(8, 25))):
        x, y = rng.uniform(-0.65, -0.15) * a, rng.uniform(-0.5, 0.3) * b
        r = rng.uniform(0.7, 4)
        canvas.ellipse(x, y, r * rng.uniform(1, 6), r, liver + (60 if enhanced else -15), rng.uniform(0, 180))
    canvas.ellipse(0.62 * a, 0.05 * b, 0.14 * a, 0.3 * b, liver + 10, -20)
    cortex = rng.uniform(120, 220) if enhanced else 32.0
    for mirror in (-1, 1):
        canvas.ellipse(mirror * 0.4 * a, 0.42 * b, 26, 19, cortex, mirror * 40)
        canvas.ellipse(mirror * 0.38 * a, 0.42 * b, 12, 8, rng.choice([FAT, 60.0, 600.0]), mirror * 40)
    for _ in range(int(rng.integers(4, 14))):  # bowel
        x, y, r = rng.uniform(-0.2, 0.6) * a, rng.uniform(-0.6, 0.2) * b, rng.uniform(6, 16)
        p, q, turn = r, r * rng.uniform(0.6, 1), rng.uniform(0, 180)
        canvas.ellipse(x, y, p, q, rng.uniform(30, 90), turn)
        canvas.ellipse(x, y - 0.1 * r, 0.8 * p, 0.7 * q, rng.choice([-1000.0, 10.0, -60.0, 250.0]), turn)
    for _ in range(int(rng.integers(10, 40))):  # mesenteric vessels in fat
        _line(canvas, rng, 0.55 * a, 0.55 * b, rng.uniform(30, 150))
    aorta = rng.uniform(150, 380) if enhanced else 42.0
    canvas.ellipse(-8, 0.28 * b, 10, 10, aorta)
    if rng.random() < 0.4:  # calcified wall
        canvas.ring(-8, 0.28 * b, 10, 10, rng.uniform(0.6, 2), rng.uniform(300, 1000))
    canvas.ellipse(16, 0.28 * b, 11, 8, rng.uniform(0.5, 0.9) * aorta)
    _skeleton(canvas, a, b, rng, ribs=rng.random() < 0.5)
    _lesions(canvas, rng, 0.6 * a, 0.6 * b)
    return canvas.finished("abdomen")


def shapes(rng: np.random.Generator, side: int = 1024) -> Plane:
    """Return random ellipses, boxes, rings, lines, bars and wires, of contrasts from 5 HU to the most that is drawn for the plane.

    Examples
    --------
    >>> len(shapes(np.random.default_rng(1), 64).points) >= 0
    True
    """
    canvas = Canvas(side, float(rng.uniform(120, 500)))
    half, most = canvas.field_mm / 2, float(np.exp(rng.uniform(np.log(60), np.log(2500))))
    canvas.ellipse(0, 0, half * rng.uniform(0.6, 0.9), half * rng.uniform(0.6, 0.9), rng.uniform(-120, 150))
    for _ in range(int(rng.integers(20, 70))):
        x, y = rng.uniform(-0.8, 0.8, 2) * half
        p, q = np.exp(rng.uniform(np.log(0.004), np.log(0.3), 2)) * half
        with canvas.around(x, y, canvas.pixel_mm) as pen:
            here = float(pen.hu.mean()) if pen.hu.size else 0.0
        step = float(rng.choice([-1.0, 1.0]) * np.exp(rng.uniform(np.log(5), np.log(most))))
        hu, turn = float(np.clip(here + step, -1000, 3000)), rng.uniform(0, 180)
        kind = rng.integers(4)
        if kind == 0:
            canvas.box(x, y, p, q, hu, turn)
        elif kind == 1:
            canvas.ring(x, y, p + 1, q + 1, rng.uniform(0.2, 0.5) * min(p, q) + 0.2, hu, turn)
        elif kind == 2:
            canvas.box(x, y, max(p, q), rng.uniform(0.2, 1.5), hu, turn)
        else:
            canvas.ellipse(x, y, p, q, hu, turn)
    if rng.random() < 0.5:
        _bars(canvas, rng, half, most)
    _wires(canvas, rng, half)
    return canvas.finished("shapes")


def inserts(rng: np.random.Generator, side: int = 1024) -> Plane:
    """Return a phantom of quality control: a uniform cylinder with discs and blocks of a few contrasts, bars and wires.

    Examples
    --------
    >>> inserts(np.random.default_rng(1), 64).name
    'inserts'
    """
    canvas = Canvas(side, float(rng.uniform(120, 400)))
    half, water = canvas.field_mm / 2, float(rng.uniform(-60, 160))
    radius = half * rng.uniform(0.5, 0.9)
    if rng.random() < 0.5:  # wall
        canvas.ellipse(0, 0, radius, radius, water + rng.uniform(-100, 150))
        radius -= rng.uniform(2, 10)
    canvas.ellipse(0, 0, radius, radius, water)
    steps = rng.choice([-1.0, 1.0], 3) * np.exp(rng.uniform(np.log(8), np.log(1000), 3))
    for place in range(int(rng.integers(4, 13))):
        angle, out = place * 0.524 + rng.uniform(0, 0.1), radius * rng.uniform(0.3, 0.75)
        x, y, size = out * np.cos(angle), out * np.sin(angle), rng.uniform(0.03, 0.16) * radius
        hu = float(np.clip(water + rng.choice(steps), -1000, 3000))
        if rng.random() < 0.5:
            canvas.ellipse(x, y, size, size, hu)
        else:
            canvas.box(x, y, 1.3 * size, size, hu, rng.uniform(0, 180))
    if rng.random() < 0.5:
        _bars(canvas, rng, half, float(np.abs(steps).max()))
    _wires(canvas, rng, half)
    return canvas.finished("inserts")


OBJECTS: dict[str, Callable[[np.random.Generator, int], Plane]] = {
    "head": head,
    "chest": chest,
    "abdomen": abdomen,
    "shapes": shapes,
    "inserts": inserts,
}


def _field(rng: np.random.Generator, half_mm: float, low: float, high: float) -> float:
    """Draw the side of a field that holds the body [mm]."""
    return max(float(rng.uniform(low, high)), 2.05 * half_mm)


def _trunk(rng: np.random.Generator, side: int) -> tuple[Canvas, float, float]:
    """Draw table, skin, fat and muscle; return the half axes of the body too."""
    a, b = rng.uniform(130, 200), rng.uniform(95, 135)
    canvas = Canvas(side, _field(rng, a, 300, 500))
    if rng.random() < 0.7:  # table
        wall, wide = rng.uniform(0.5, 2), min(200.0, 0.45 * canvas.field_mm)
        canvas.box(0, b + 4 + wall, wide, 4 + wall, rng.uniform(-700, 100))
        canvas.box(0, b + 4 + wall, wide, 4 - wall, rng.uniform(-1000, -900))
    canvas.ellipse(0, 0, a, b, 20.0)
    canvas.ellipse(0, 0, a - 1.5, b - 1.5, FAT + rng.uniform(-15, 15))
    rim = rng.uniform(6, 30)
    canvas.ellipse(0, 0, a - rim, b - rim, MUSCLE + rng.uniform(-10, 20))
    canvas.ellipse(0, -2, a - rim - rng.uniform(8, 16), b - rim - rng.uniform(8, 16), FAT + rng.uniform(0, 120))
    canvas.grain(covered(canvas, 0, 0, a - 2, b - 2), rng.uniform(0, 12), rng.uniform(1.5, 12), rng)
    return canvas, a, b


def _skeleton(canvas: Canvas, a: float, b: float, rng: np.random.Generator, ribs: bool) -> None:
    """Draw a vertebra with its canal, and ribs with a cortical wall."""
    y, hard, soft = 0.55 * b, CORTEX * rng.uniform(0.4, 1.0), rng.uniform(120, 350)
    canvas.ellipse(0, y, 19, 15, hard)
    canvas.ellipse(0, y, 17.3, 13.3, soft)
    for mirror in (-1, 1):
        canvas.ellipse(mirror * 22, y + 14, 16, 4, hard, mirror * -20)
        canvas.ellipse(mirror * 22, y + 14, 13, 2.2, soft, mirror * -20)
    canvas.ellipse(0, y + 19, 13, 10, hard)
    canvas.ellipse(0, y + 17, 9, 7.5, 20.0)
    canvas.ellipse(0, y + 17, 5, 4.5, 40.0)
    canvas.ellipse(0, y + 33, 3, 9, hard)
    with canvas.around(0, y, 20) as pen:  # spongy bone
        cover = pen.inside(pen.radius(0, y, 16, 12))
        spongy: Field = pen.hu.astype(np.float64)
        spongy += rng.uniform(10, 120) * _sponge(pen.hu.shape, canvas.pixel_mm, rng)
        pen.paint(cover, spongy)
    for k in range(int(rng.integers(8, 15)) if ribs else 0):
        angle = 2 * np.pi * (k + rng.uniform(0, 0.4)) / 12
        x, r = 0.86 * a * np.cos(angle), rng.uniform(2.5, 5)
        long, turn = rng.uniform(5, 16), np.rad2deg(np.arctan2(b * np.cos(angle), -a * np.sin(angle)))
        canvas.ellipse(x, 0.8 * b * np.sin(angle), long, r, hard, turn)
        canvas.ellipse(x, 0.8 * b * np.sin(angle), long - 1.5, max(r - 1.2, 0.8), soft, turn)


def _sponge(shape: tuple[int, ...], pixel_mm: float, rng: np.random.Generator) -> Field:
    """Return trabeculae: a random texture with a grain of 0.5 to 1.5 mm."""
    noise = gaussian_filter(rng.standard_normal(shape), rng.uniform(0.2, 0.6) / pixel_mm)
    return np.asarray(noise / max(float(noise.std()), 1e-9), np.float64)


def _skull_base(canvas: Canvas, a: float, b: float, rng: np.random.Generator) -> None:
    """Draw petrous bones with air cells, and sinuses."""
    for mirror in (-1, 1):
        x, y = mirror * 0.55 * a, rng.uniform(0.05, 0.25) * b
        canvas.ellipse(x, y, 0.38 * a, 0.14 * b, CORTEX + rng.uniform(0, 700), mirror * -35)
        for _ in range(int(rng.integers(10, 40))):
            u, v = rng.normal(0, 0.14, 2)
            r = rng.uniform(0.5, 2.5)
            canvas.ellipse(
                x + u * a + mirror * 0.15 * a, y + v * b, r, r * rng.uniform(0.5, 1), -950.0, rng.uniform(0, 180)
            )
    for _ in range(int(rng.integers(2, 6))):
        x, y = rng.uniform(-0.4, 0.4) * a, rng.uniform(-0.9, -0.6) * b
        p, q = rng.uniform(5, 14), rng.uniform(4, 12)
        canvas.ellipse(x, y, p + 0.8, q + 0.8, 600.0)
        canvas.ellipse(x, y, p, q, -1000.0)


def _mirrored(
    canvas: Canvas, rng: np.random.Generator, x: float, y: float, a: float, b: float, hu: float, turn: float
) -> None:
    """Draw an ellipse on both sides, not quite alike."""
    for mirror in (-1, 1):
        p, q = np.array([a, b]) * rng.uniform(0.8, 1.2, 2)
        canvas.ellipse(mirror * x, y + rng.normal(0, 1), p, q, hu, mirror * turn)


def _vessel(canvas: Canvas, x: float, y: float, rng: np.random.Generator) -> None:
    """Draw a vessel of the lung, across or along the plane."""
    r = float(np.exp(rng.uniform(np.log(0.3), np.log(4))))
    length = r * float(rng.choice([1.0, rng.uniform(2, 12)]))
    canvas.ellipse(x, y, length, r, rng.uniform(-100, 150), rng.uniform(0, 180))


def _line(canvas: Canvas, rng: np.random.Generator, a: float, b: float, hu: float) -> None:
    """Draw a thin structure somewhere within half axes a and b."""
    x, y = rng.uniform(-1, 1, 2) * (a, b)
    canvas.ellipse(x, y, rng.uniform(2, 25), rng.uniform(0.4, 2), hu, rng.uniform(0, 180))


def _lesions(canvas: Canvas, rng: np.random.Generator, a: float, b: float) -> None:
    """Draw lesions of little contrast, and calcifications."""
    for _ in range(int(rng.integers(0, 7))):
        x, y = rng.uniform(-1, 1, 2) * (a, b)
        r = float(np.exp(rng.uniform(np.log(1), np.log(12))))
        with canvas.around(x, y, r + 2) as pen:
            cover = pen.inside(pen.radius(x, y, r, r * rng.uniform(0.7, 1)))
            pen.paint(cover, pen.hu.astype(np.float64) + rng.choice([-1, 1]) * rng.uniform(5, 80))
    for _ in range(int(rng.integers(0, 6))):
        x, y = rng.uniform(-1, 1, 2) * (a, b)
        canvas.ellipse(x, y, rng.uniform(0.3, 2), rng.uniform(0.3, 2), rng.uniform(200, 1500))


def _bars(canvas: Canvas, rng: np.random.Generator, half: float, most: float) -> None:
    """Draw groups of bars of several widths."""
    step, turn = float(rng.choice([-1.0, 1.0]) * rng.uniform(0.1, 1) * most), float(rng.uniform(0, 180))
    hu, y = float(np.clip(step, -1000, 1500)), -0.4 * half
    for width in np.sort(np.exp(rng.uniform(np.log(1.0), np.log(6.0), 5)))[::-1] * 4 * canvas.pixel_mm:
        for k in range(4):
            canvas.box(-0.3 * half + 2 * k * width, y, width / 2, 5 * width, hu, turn)
        y += 0.2 * half


def _wires(canvas: Canvas, rng: np.random.Generator, half: float) -> None:
    """Draw up to a dozen wires across the plane."""
    for _ in range(int(rng.integers(0, 12))):
        x, y = rng.uniform(-0.6, 0.6, 2) * half
        weight = float(np.exp(rng.uniform(np.log(50), np.log(3e4))) * canvas.pixel_mm**2 * 16)
        canvas.points.append(Point(float(x), float(y), weight))
