import json

import pytest

from photopeak.engine.cli import main


@pytest.fixture
def photopeak(capsys):
    """Return ``run(*words) -> (exit code, standard output, standard error)``."""

    def run(*words):
        with pytest.raises(SystemExit) as caught:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        return caught.value.code or 0, out, err

    return run


@pytest.fixture
def photopeak_json(photopeak):
    """Return ``run(*words) -> parsed JSON``; standard output must hold nothing else."""

    def run(*words):
        code, out, err = photopeak(*words, "--json")
        assert code == 0, err
        return json.loads(out)

    return run
