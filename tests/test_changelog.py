"""The changelog keeps its form, and its newest version is ours."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
HEADING = re.compile(r"^## \[(?P<version>[^\]]+)\](?: - (?P<date>\d{4}-\d{2}-\d{2}))?$")
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")


@pytest.fixture(scope="module")
def lines():
    return (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def headings(lines):
    second_level = [line for line in lines if line.startswith("## ")]
    matches = [HEADING.match(line) for line in second_level]
    assert all(matches), second_level
    return matches


def test_first_section_is_unreleased(headings):
    assert headings[0]["version"] == "Unreleased"
    assert headings[0]["date"] is None


def test_releases_have_a_date_and_descend(headings):
    releases = headings[1:]
    assert all(release["date"] for release in releases)
    numbers = [tuple(map(int, release["version"].split("."))) for release in releases]
    assert numbers == sorted(set(numbers), reverse=True)
    assert [release["date"] for release in releases] == sorted((r["date"] for r in releases), reverse=True)


def test_newest_version_is_ours(lines, headings):
    """The version is the newest release; before the first one, Unreleased says what it will be."""
    newest = headings[1]["version"] if len(headings) > 1 else None
    announced = next((line for line in lines if line.startswith("This will be ")), "")
    assert newest == VERSION or f"This will be {VERSION}" in announced


def test_subsections_are_of_known_kinds(lines):
    assert {line.removeprefix("### ") for line in lines if line.startswith("### ")} <= set(KINDS)


def test_installed_version_is_that_of_the_project():
    import photopeak

    assert photopeak.__version__ == version("photopeak") == VERSION
