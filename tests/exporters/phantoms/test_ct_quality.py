import numpy as np
import pytest

from photopeak.exporters.phantoms import ct_quality
from photopeak.exporters.phantoms.ct import SHARP, spectrum
from photopeak.exporters.phantoms.ct_quality import FIELD_MM, Region


def test_a_region_covers_the_same_part_on_every_matrix():
    region = Region(-24.0, 12.0, 6.0, 3.0)
    (top, bottom), (left, right) = region.pixels(256, FIELD_MM)
    assert ((2 * top, 2 * bottom), (2 * left, 2 * right)) == region.pixels(512, FIELD_MM)
    assert (bottom - top, right - left) == (10, 20)


def test_the_region_of_the_edge_shows_both_sides_in_equal_parts():
    plane = ct_quality.edge(40.0, 200.0)
    (top, bottom), (left, right) = ct_quality.EDGE.pixels(1024, FIELD_MM)
    part = plane.hu[top:bottom, left:right]
    assert (part.min(), part.max()) == (40, 240)
    assert part.mean() == pytest.approx(140, abs=2)


def test_bars_are_as_wide_as_their_gaps():
    plane = ct_quality.bars(0.5, 400.0)
    row = plane.hu[512, 512 - 160 : 512 + 160]  # 48 mm: whole periods
    inner = row[40:-40]
    assert inner.mean() == pytest.approx(200, abs=5)
    assert np.ptp(inner) == 400


def test_discs_lie_where_their_regions_are():
    plane, regions = ct_quality.contrast_detail((3.0, 8.0), (10.0, -40.0))
    for row in regions:
        for region, step in zip(row, (10.0, -40.0), strict=True):
            (top, bottom), (left, right) = region.pixels(1024, FIELD_MM)
            np.testing.assert_allclose(plane.hu[top:bottom, left:right], step, atol=1e-3)


def test_a_wire_stands_where_it_was_put():
    image = spectrum(ct_quality.wire(1500.0, 0.9, -0.3)).image(SHARP, 256)
    assert np.unravel_index(image.argmax(), image.shape) == (127, 129)


def test_water_is_water():
    (top, bottom), (left, right) = ct_quality.MIDDLE.pixels(1024, FIELD_MM)
    assert not ct_quality.water().hu[top:bottom, left:right].any()
