"""``photopeak study parathyroid``: what it refuses."""

import pytest

from photopeak.engine.cli import main


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["scint-denoise"], 2, "scint-denoise gives images and no findings, name a model that detects."),
        (["nothing-like-it"], 4, "nothing-like-it"),
        (["--cases", "3"], 2, "--cases"),
    ],
)
def test_what_cannot_be_measured_is_refused(words, code, sentence, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["study", "parathyroid", "-o", str(tmp_path / "out"), *words])
    assert ended.value.code == code
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
