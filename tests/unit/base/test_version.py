"""The version is that of the installed distribution, under the name that Python programs look for."""

from importlib.metadata import version

import pytest

import mainspring
from mainspring.base import _version


def test_the_package_tells_its_version() -> None:
    assert version("mainspring") == mainspring.__version__


def test_there_is_nothing_else() -> None:
    with pytest.raises(AttributeError, match="version_info"):
        getattr(_version, "version_info")  # noqa: B009
