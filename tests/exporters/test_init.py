import subprocess
import sys

import pytest

import photopeak.exporters


def test_one_call_for_own_networks_is_offered():
    from photopeak.exporters.own import About, to_bundle

    assert (photopeak.exporters.to_bundle, photopeak.exporters.About) == (to_bundle, About)


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match=r"'photopeak.exporters' has no attribute 'to_mars'"):
        _ = photopeak.exporters.to_mars


def test_what_is_offered_is_imported_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None; from photopeak.exporters import About, to_bundle; print(About().name)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
