import numpy as np

from photopeak.exporters.evaluation.cases import held_out_studies, lesions


def test_held_out_studies_are_enough_and_reproducible():
    studies = held_out_studies(None)
    assert len(studies) >= 40
    assert len({study.name for study in studies}) == len(studies)
    assert all(max(study.image.shape) <= 128 and study.image.sum() > 0 for study in studies)
    assert all(side % 16 == 0 for study in studies for side in study.image.shape)


def test_a_lesion_only_adds_counts_inside_its_region():
    (lesion,) = lesions(1)
    extra = lesion.image - lesion.without
    assert extra.min() >= -1e-3 * extra.max()
    assert lesion.region[np.unravel_index(extra.argmax(), extra.shape)]
    assert 4 < lesion.region.sum() < 400
