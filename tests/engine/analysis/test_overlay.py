import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from known_findings import classified, detected
from photopeak.engine.analysis.colour_maps import COLOUR_MAPS, colour_map, coloured
from photopeak.engine.analysis.overlay import OverlayStyle, grey_levels, overlay, png
from photopeak.engine.errors import UsageError
from photopeak.engine.frames import Frames, Units
from photopeak.engine.result import DomainVerdict

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def lightness(colours):
    """Return CIE L* of sRGB colours."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    return 116 * np.cbrt(linear @ LUMINANCE) - 16


@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_colour_maps_grow_lighter_evenly(name):
    """Perceptually uniform: lightness rises with every colour, by nearly the same step."""
    steps = np.diff(lightness(colour_map(name) / 255.0)[8:])
    smooth = np.convolve(steps, np.ones(16) / 16, "valid")
    assert (smooth > 0).all()
    assert smooth.max() / smooth.min() < 2


def test_known_colours_of_the_published_tables():
    assert colour_map("inferno")[[0, 128, 255]].tolist() == [[0, 0, 4], [188, 55, 84], [252, 255, 164]]
    assert colour_map("viridis")[[0, 128, 255]].tolist() == [[68, 1, 84], [33, 145, 140], [253, 231, 37]]


def test_values_beyond_the_range_have_the_last_colours():
    found = coloured(np.array([-1, 0, 1, 2, np.nan]), "viridis")
    table = colour_map("viridis")
    np.testing.assert_array_equal(found, table[[0, 0, 255, 255, 0]])


def test_unknown_colour_maps_are_refused():
    with pytest.raises(UsageError, match="'jet' is no colour map; use inferno or viridis"):
        colour_map("jet")


def test_counts_are_shown_from_black():
    frames = Frames.from_array(np.array([[0, 5], [10, 10]]), units=Units.COUNTS)
    assert grey_levels(frames).tolist() == [[0, 128], [255, 255]]


def test_flat_images_can_be_shown():
    assert not grey_levels(Frames.from_array(np.zeros((4, 4)), units=Units.COUNTS)).any()
    assert grey_levels(Frames.from_array(np.full((4, 4), 7.0))).shape == (4, 4)


def test_the_image_shows_where_there_is_no_evidence():
    result = detected()
    style = OverlayStyle(magnify=1, boxes=False)
    bare = overlay(replace(result, cam=np.zeros_like(result.cam)), style=style)
    found = overlay(result, style=style)
    dark = result.cam[0, 0] == 0
    np.testing.assert_array_equal(found[dark], bare[dark])
    assert (found != bare).any()
    assert (bare[..., 0] == bare[..., 2]).all()


def test_boxes_lie_where_they_are_on_each_phase():
    result = detected()
    for channel, size in enumerate((64, 128)):
        factor = 512 // size
        plain, drawn = (
            overlay(result, channel=channel, style=OverlayStyle(evidence=False, boxes=boxes)) for boxes in (False, True)
        )
        assert drawn.shape == (512, 512, 3)
        for lesion in result.detections[0]:
            row0, column0, row1, column1 = (factor * edge for edge in result.box_on(lesion, channel))
            changed = (plain != drawn).any(axis=-1)
            middle = int((column0 + column1) / 2)
            assert changed[round(row0) : round(row0) + 2, middle].all()
            assert changed[round(row1) - 2 : round(row1) - 1, middle].all()
            assert not changed[int((row0 + row1) / 2), middle]


def test_findings_outside_the_domain_carry_a_notice():
    result = classified()
    outside = DomainVerdict("outside", np.array([9.0]), (3.0, 5.0), ("it is dark",))
    invalid = replace(result, domains=(outside,) * len(result))
    top = overlay(invalid)[:8]
    assert (top != overlay(result)[:8]).any()
    assert (top[:, -1] == (176, 0, 32)).all()


def test_an_absent_phase_cannot_be_shown():
    result = detected()
    alone = replace(result, sources=(None, result.sources[1]), placements=(None, result.placements[1]))
    assert overlay(alone).shape == (512, 512, 3)
    with pytest.raises(UsageError, match="early phase is absent"):
        overlay(alone, channel=0)


@pytest.mark.parametrize("wrong", [{"opacity": 1.5}, {"opacity": -0.1}, {"magnify": -1}])
def test_styles_that_make_no_sense_are_refused(wrong):
    with pytest.raises(UsageError, match="make no sense"):
        OverlayStyle(**wrong)


def test_pictures_are_png():
    picture = np.random.default_rng(0).integers(0, 255, (90, 60, 3), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png(picture)))), picture)


def test_very_large_images_are_shown_by_their_blocks():
    small = classified()
    frames, (placement, _) = small.sources[0], small.placements[0]
    pixels = np.repeat(np.repeat(frames.pixels, 25, axis=1), 25, axis=2)
    large = replace(
        small,
        sources=(frames.with_pixels(pixels),),
        placements=((placement,) * 2,),
        cam=np.repeat(np.repeat(small.cam, 25, axis=2), 25, axis=3),
    )
    found = overlay(large)
    assert found.shape == (1066, 1066, 3)
    same = overlay(small, style=OverlayStyle(magnify=25))[1::3, 1::3][:1066, :1066]
    inside = np.abs(found.astype(int) - same).max(axis=-1)
    assert np.median(inside) <= 2
