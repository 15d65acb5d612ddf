import numpy as np
import pytest

from analysis_models import make_manifest
from photopeak.engine.analysis.verdict import judge, worst
from photopeak.engine.manifest import EmbeddingDomain
from photopeak.engine.result import DomainVerdict

EMBEDDING = EmbeddingDomain(mean=(1.0, 2.0), precision=((1.0, 0.0), (0.0, 4.0)), limits=(2.0, 3.0))


def embedded(*pairs):
    return np.array(pairs, np.float32)[:, :, None, None]


def pixels(n):
    return np.random.default_rng(0).poisson(9, (n, 32, 32)).astype(np.float32)


@pytest.mark.parametrize(
    ("at", "verdict"), [((1, 2), "inside"), ((3, 2), "inside"), ((1, 3.2), "border"), ((1, 4), "outside")]
)
def test_the_embedding_alone_can_put_an_image_outside(at, verdict):
    """Distances are sqrt(dx**2 + 4 dy**2): 0, 2, 2.4 and 4."""
    (found,) = judge({"": pixels(1)}, embedded(at), make_manifest("classification"), EMBEDDING)
    assert found.verdict == verdict
    assert bool(found.reasons) == (verdict != "inside")


def test_the_pixels_alone_can_put_an_image_outside():
    manifest = make_manifest("detection")
    narrow = manifest.model_copy(update={"domain": manifest.domain.model_copy(update={"limits": (1e-6, 2e-6)})})
    (found,) = judge({"early": pixels(1), "late": pixels(1)}, embedded((1, 2)), narrow, EMBEDDING)
    assert found.verdict == "outside"
    assert all(reason.startswith(("early: ", "late: ")) for reason in found.reasons)


def test_each_frame_has_a_verdict_of_its_own():
    found = judge({"": pixels(3)}, embedded((1, 2), (9, 2), (1, 2)), make_manifest("classification"), EMBEDDING)
    assert [one.verdict for one in found] == ["inside", "outside", "inside"]


def test_an_embedding_that_is_no_number_is_outside():
    (found,) = judge({"": pixels(1)}, embedded((np.nan, 2)), make_manifest("classification"), EMBEDDING)
    assert found.verdict == "outside"


def test_the_worst_verdict_keeps_all_reasons_once():
    border = DomainVerdict("border", np.array([4.0]), (3.0, 5.0), ("grain", "both"))
    outside = DomainVerdict("outside", np.array([2.0]), (0.5, 1.0), ("seen", "both"))
    found = worst([border, outside])
    assert (found.verdict, found.limits) == ("outside", (0.5, 1.0))
    assert found.reasons == ("grain", "both", "seen")
