"""A missing optional dependency is told in the user's words."""

import sys
from pathlib import Path

import pytest

from mainspring.base import load_extra
from mainspring.errors import MissingExtraError


def test_an_installed_module_is_returned() -> None:
    assert sys.modules["json.decoder"] is load_extra("json.decoder", feature="x", extra="y")


def test_a_missing_module_names_the_extra() -> None:
    with pytest.raises(MissingExtraError, match="the limiter needs the module 'no_such_module'") as caught:
        load_extra("no_such_module.asyncio", feature="the limiter", extra="redis")
    assert caught.value.hint == 'pip install "mainspring[redis]"'
    assert isinstance(caught.value, ImportError)


def test_a_broken_module_keeps_its_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_installed_extra.py").write_text("import its_missing_part\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(ModuleNotFoundError, match="its_missing_part") as caught:
        load_extra("half_installed_extra", feature="x", extra="y")
    assert not isinstance(caught.value, MissingExtraError)
