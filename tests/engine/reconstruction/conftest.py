"""Solutions that are known in closed form: a ball, and a helix with a ring."""

import pytest

import known_bodies


@pytest.fixture(scope="session")
def grid():
    return known_bodies.grid()


@pytest.fixture(scope="session")
def ball():
    return known_bodies.ball()


@pytest.fixture(scope="session")
def helix():
    return known_bodies.helix()
