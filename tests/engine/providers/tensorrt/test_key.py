import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from photopeak.engine.providers.tensorrt.key import EngineKey, Profile

OTHERS = {
    "bundle": "c" * 64,
    "graph": "c" * 64,
    "precision": "fp16",
    "profiles": (Profile(rows=64, columns=64),),
    "library": "tensorrt",
    "version": "1.8",
    "capabilities": ("SM120",),
    "gpu": "Another GPU",
    "driver": "580.1",
    "platform": "Windows AMD64",
    "refit": True,
    "version_compatible": True,
}


@pytest.mark.parametrize("name", OTHERS)
def test_everything_that_decides_on_an_engine_is_in_its_digest(key, name):
    assert key.model_copy(update={name: OTHERS[name]}).digest != key.digest


def test_no_field_is_left_out_of_the_test_above():
    assert set(OTHERS) == set(EngineKey.model_fields) - {"format"}


def test_digest_is_that_of_the_content(key):
    assert EngineKey.model_validate_json(key.model_dump_json()).digest == key.digest


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bundle", "its bundle is cccc"),
        ("graph", "its graph is cccc"),
        ("precision", "its precision is fp16 and not fp32"),
        ("library", "its library is tensorrt and not tensorrt-rtx"),
        ("version", "its version is 1.8 and not 1.7"),
        ("capabilities", "it is for SM120 and not for SM89"),
        ("gpu", "its gpu is Another GPU and not none"),
        ("driver", "its driver is 580.1 and not none"),
        ("platform", "its platform is Windows AMD64 and not Linux x86_64"),
        ("profiles", "it is for 64x64, batches of 1 to 1 and not for 2 of 128x128"),
    ],
)
def test_engine_for_something_else_is_refused_with_the_reason(need, key, name, words):
    assert not need.mismatch(key, (2, 1, 128, 128))
    assert words in need.mismatch(key.model_copy(update={name: OTHERS[name]}), (2, 1, 128, 128))


@pytest.mark.parametrize("shape", [(9, 1, 128, 128), (1, 1, 128, 64), (1, 1, 64, 128), (0, 1, 128, 128)])
def test_engine_of_another_matrix_or_batch_is_refused(need, key, shape):
    assert "and not for" in need.mismatch(key, shape)


@given(st.integers(1, 99), st.integers(1, 99), st.integers(1, 99), st.integers(0, 120))
def test_profile_covers_its_batches(least, best, most, n):
    if not least <= best <= most:
        with pytest.raises(ValidationError, match="not in order"):
            Profile(rows=8, columns=8, least=least, best=best, most=most)
        return
    profile = Profile(rows=8, columns=8, least=least, best=best, most=most)
    assert profile.covers((n, 3, 8, 8)) == (n in range(least, most + 1))


def test_narrowest_profile_is_taken(key):
    several = tuple(Profile(rows=128, columns=128, most=most) for most in (16, 2, 8))
    key = key.model_copy(update={"profiles": several})
    assert [key.profile_for((n, 1, 128, 128)) for n in (1, 2, 3, 9, 17)] == [1, 1, 2, 0, -1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"bundle": "../../etc"},
        {"graph": ""},
        {"capabilities": ()},
        {"capabilities": ("8.9",)},
        {"profiles": ()},
        {"precision": "tf32"},
        {"format": 2},
        {"path": "/tmp/x"},
    ],
)
def test_keys_of_another_form_are_refused(key, wrong):
    with pytest.raises(ValidationError):
        EngineKey.model_validate(key.model_dump() | wrong)
