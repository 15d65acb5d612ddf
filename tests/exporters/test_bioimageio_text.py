import io

import numpy as np
import pytest
from PIL import Image

from analysis_models import write_finder
from photopeak.engine import zoo
from photopeak.exporters.bioimageio_text import citations, cover, description, documentation, title


@pytest.mark.parametrize("name", zoo.names())
def test_titles_have_the_letters_that_names_may_have(name):
    found = title(zoo.load_bundle(name))
    assert 5 <= len(found) <= 64
    assert not set(found) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+- ()")


@pytest.mark.parametrize("name", zoo.names())
def test_the_documentation_says_what_to_put_in_and_holds_the_card(name):
    bundle = zoo.load_bundle(name)
    text = documentation(bundle)
    assert text.startswith(f"# {bundle.manifest.title}")
    assert text.count("\n# ") == 0
    assert bundle.digest in text
    assert "not for diagnosis" in text
    assert "## Validation" in text
    assert bundle.card.strip().splitlines()[-1] in text
    assert "For research" in description(bundle)


@pytest.mark.parametrize(
    ("name", "sentences"),
    [
        (
            "scint-denoise",
            [
                "counts per pixel as acquired",
                "the sum (total counts) of the input",
                "Run a plane as one tile",
                "that is the sum of the extension too",
            ],
        ),
        ("pet-sr-x2", ["99.5th percentile", "the mean of the input", "2 times the rows and columns"]),
        ("ct-sr-x2", ["Hounsfield units; in Fiji apply Rescale Slope"]),
        ("cxr-view", ["Labels: ", "Divide scores by the temperature"]),
    ],
)
def test_what_the_graph_does_by_itself_is_told(name, sentences):
    text = documentation(zoo.load_bundle(name))
    for sentence in sentences:
        assert sentence in text


def test_nothing_is_said_of_what_a_graph_does_not_do():
    text = documentation(zoo.load_bundle("ct-sr-x2"))
    assert "Run a plane as one tile" not in text
    assert "percentile" not in text.partition("## Validation")[0]


@pytest.mark.parametrize("name", zoo.names())
def test_citations_are_texts_with_a_doi(name):
    for text, doi in citations(zoo.load_bundle(name)):
        assert doi.startswith("10.")
        assert text.endswith(".")


def test_a_network_of_somebody_else_cites_nothing(tmp_path):
    assert citations(write_finder(tmp_path / "finder", "classification")) == ()


def test_the_cover_shows_input_and_output_side_by_side():
    dark, bright = np.zeros((1, 1, 8, 8), np.float32), np.zeros((1, 1, 16, 8), np.float32)
    dark[..., :4], bright[..., 8:, :] = 1, 1
    picture = np.asarray(Image.open(io.BytesIO(cover({"input": dark, "output": bright}))))
    assert picture.shape == (320, 640)
    assert picture[160, 40] < 20
    assert picture[160, 280] > 235
    assert picture[40, 320 + 80] > 235
    assert picture[280, 320 + 80] < 20
