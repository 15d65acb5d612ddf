import numpy as np
import pytest

from photopeak.engine.bundle import open_bundle
from photopeak.engine.errors import UsageError
from photopeak.engine.zoo import locate
from photopeak.exporters.evaluation.detection_statistics import MarkedImage
from photopeak.exporters.evaluation.parathyroid_card import Report, measure, render
from photopeak.exporters.evaluation.parathyroid_study import WAYS, Read


@pytest.fixture(scope="module")
def bundle():
    return open_bundle(locate("parathyroid-detect"))


def read_of(number, score):
    """One image with a gland of 12 mm that scores so much, and a false mark that scores half of it."""
    marks = MarkedImage(str(number), np.array([score, score / 2]), np.array([0, -1]), 1)
    return Read(marks, np.array([12.0], np.float32), np.array([True]), ("lower",))


def report_of(detectability):
    reads = [read_of(number, score) for number, score in enumerate((0.99, 0.9, 0.8, 0.1))]
    return Report(dict.fromkeys(WAYS, reads), np.full(4, detectability), ("inside", "inside", "border", "outside"))


def test_the_card_tells_what_was_measured_and_that_all_is_simulated(bundle):
    card = render(bundle, report_of(8.0), "One more sentence.")
    assert "All data are simulated" in card
    assert "not for diagnosis" in card
    assert "One more sentence." in card
    assert "4 cases of the same simulator" in card
    assert "| 10 to 14 | 4 | 0.750" in card
    assert "| 6 to 10 | 4 | 0.750" in card
    assert "2 inside, 1 border, 1 outside" in card
    assert "{" not in card


@pytest.mark.parametrize(("detectability", "words"), [(8.0, "are not out of reach"), (1.0, "are out of reach")])
def test_the_card_says_whether_noise_forbids_the_aim(bundle, detectability, words):
    assert words in render(bundle, report_of(detectability))


def test_measuring_reads_each_case_in_every_way(bundle):
    told = []
    found = measure(bundle, told.append, cases=2)
    assert {len(reads) for reads in found.reads.values()} == {2}
    assert set(found.reads) == set(WAYS)
    glands = sum(one.image.lesions for one in found.reads[WAYS[-1]])
    assert found.detectability.shape == (glands,)
    assert len(found.verdicts) == 2
    assert told


def test_a_model_of_images_is_refused():
    with pytest.raises(UsageError, match="gives no findings"):
        measure(open_bundle(locate("scint-denoise")), cases=1)
