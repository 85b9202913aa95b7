"""Installed plugins are set up once per process, when the first program is made."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.runtime import entrypoint
from mainspring.runtime._plugins import load_plugins

GROUP = "mainspring.test_plugins"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install two plugins, one of them broken."""
    info = tmp_path / "plugged-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\ngood = plugged_good\nbad = plugged_missing\n")
    (tmp_path / "plugged_good.py").write_text("calls = []\ndef setup():\n    calls.append('setup')\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    nothing: set[object] = set()
    monkeypatch.setattr("mainspring.runtime._plugins._loaded", nothing)
    monkeypatch.setattr("mainspring.runtime._plugins._searched", set(nothing))
    yield
    sys.modules.pop("plugged_good", None)


def test_plugins_are_set_up_once_and_broken_ones_left_out(installed: None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    load_plugins((), group=GROUP)
    assert "plugged_good" not in sys.modules
    load_plugins(("bad",), group=GROUP)
    assert "'bad' cannot be imported" in caplog.text
    load_plugins(None, group=GROUP)
    load_plugins(None, group=GROUP)
    load_plugins(("good",), group=GROUP)
    assert ["setup"] == sys.modules["plugged_good"].calls
    assert "plugin 'good' of plugged 1.5 is set up" in caplog.text


def test_the_environment_may_forbid_plugins(installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: set[object] = set()
    monkeypatch.setattr("mainspring.runtime._plugins._searched", searched)
    monkeypatch.setenv("MAINSPRING_NO_PLUGINS", "1")
    entrypoint(log_config=False)
    assert not searched
    monkeypatch.delenv("MAINSPRING_NO_PLUGINS")
    entrypoint(log_config=False, plugins=["none of these"])
    assert 1 == len(searched)
