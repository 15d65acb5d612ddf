from importlib.metadata import version

import photopeak
from photopeak.engine.release import release


def test_release_is_the_version_of_the_distribution():
    assert release() == version("photopeak") == photopeak.__version__
