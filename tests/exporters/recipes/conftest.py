from dataclasses import replace

import pytest

from photopeak.exporters.recipes.catalogue import find
from photopeak.exporters.recipes.dataset import build_pool


@pytest.fixture(scope="session")
def pool():
    """Return one study of each kind."""
    return build_pool(None, share=0.001)


@pytest.fixture
def small():
    """Return ``make(name) -> Recipe``: the recipe with a narrow network and small batches."""

    def make(name):
        return replace(find(name), channels=(16, 16, 16), blocks=(0, 1, 1, 1), patch=48, batch=4)

    return make
