"""Installed plugins are set up once per process, when the first program is made, and listed by a command."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.errors import InvalidArgumentError, MisuseError
from mainspring.runtime import LogFormat, entrypoint, list_plugins, plugin_setups
from mainspring.runtime._plugins import load_plugins

GROUP = "mainspring.test_plugins"
GROUPS = (GROUP,)
ENTRY_POINTS = f"""
[{GROUP}]
good = plugged_good
bad = plugged_missing

[{GROUP}.late]
good = plugged_missing
empty = plugged_empty
"""
GOOD = '''"""Says good things.

More of them.
"""
calls = []
def setup():
    calls.append("setup")
'''


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install three plugins, one that works."""
    info = tmp_path / "plugged-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "plugged_good.py").write_text(GOOD)
    (tmp_path / "plugged_empty.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    nothing: set[object] = set()
    monkeypatch.setattr("mainspring.runtime._plugins._loaded", nothing)
    monkeypatch.setattr("mainspring.runtime._plugins._searched", set(nothing))
    yield
    for name in ("plugged_good", "plugged_empty"):
        sys.modules.pop(name, None)


def test_plugins_are_set_up_once_and_broken_ones_left_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    load_plugins((), groups=GROUPS)
    assert "plugged_good" not in sys.modules
    load_plugins(("bad",), groups=GROUPS)
    assert "'bad' cannot be imported" in caplog.text
    load_plugins(None, groups=GROUPS)
    load_plugins(None, groups=GROUPS)
    load_plugins(("good",), groups=GROUPS)
    assert ["setup"] == sys.modules["plugged_good"].calls
    assert "plugin 'good' of plugged 1.5 is set up" in caplog.text


def test_a_plugin_whose_setup_failed_is_set_up_by_the_next_program(tmp_path: Path) -> None:
    failing = "    if len(calls) == 1:\n        raise OSError('no device')\n"
    (tmp_path / "plugged_good.py").write_text(GOOD + failing)
    with pytest.raises(OSError, match="no device"):
        load_plugins(None, groups=GROUPS)
    for _ in range(2):
        load_plugins(None, groups=GROUPS)
    assert ["setup", "setup"] == sys.modules["plugged_good"].calls


@pytest.mark.parametrize("failures", [0, 1])
def test_a_plugin_may_make_a_program_in_its_setup(tmp_path: Path, failures: int) -> None:
    nested = f"""    from mainspring.runtime._plugins import load_plugins
    load_plugins(None, groups=[{GROUP!r}])
    if len(calls) <= {failures}:
        raise OSError("no device")
"""
    (tmp_path / "plugged_good.py").write_text(GOOD + nested)
    for _ in range(failures):
        with pytest.raises(OSError, match="no device"):
            load_plugins(None, groups=GROUPS)
    load_plugins(None, groups=GROUPS)
    assert ["setup"] * (failures + 1) == sys.modules["plugged_good"].calls


def test_of_two_plugins_with_one_name_the_earlier_group_wins() -> None:
    load_plugins(("good",), groups=(GROUP, f"{GROUP}.late"))
    assert ["setup"] == sys.modules["plugged_good"].calls


def test_a_plugin_that_is_asked_for_must_be_there_and_have_a_setup() -> None:
    with pytest.raises(InvalidArgumentError, match=r"plugins='absent'.*bad, good"):
        load_plugins(("absent",), groups=GROUPS)
    with pytest.raises(MisuseError, match=r"the plugin 'empty' has no setup\(\)"):
        load_plugins(("empty",), groups=(f"{GROUP}.late",))


def test_the_environment_may_forbid_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: set[object] = set()
    monkeypatch.setattr("mainspring.runtime._plugins._searched", searched)
    monkeypatch.setenv("MAINSPRING_NO_PLUGINS", "1")
    entrypoint(log_config=False)
    assert not searched
    monkeypatch.delenv("MAINSPRING_NO_PLUGINS")
    entrypoint(log_config=False)
    assert 1 == len(searched)
    with pytest.raises(InvalidArgumentError, match="none of these"):
        entrypoint(log_config=False, plugins=["none of these"])


def test_those_that_can_be_used_are_given_by_name() -> None:
    setups = plugin_setups((GROUP, f"{GROUP}.late"))
    assert ["good"] == list(setups)
    setups["good"]()
    assert ["setup"] == sys.modules["plugged_good"].calls


@pytest.mark.parametrize(("flags", "logged", "listed"), [("", 1, 1), ("-n", 1, 0), ("-s", 0, 1), ("-l error", 0, 1)])
def test_the_command_lists_names_and_logs_what_they_say(
    flags: str, logged: int, listed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    list_plugins([*flags.split(), "-F", LogFormat.plain.name], groups=GROUPS)
    output, errors = capsys.readouterr()
    assert ["good"] * listed == output.splitlines()
    assert logged == errors.count("Available 1 plugins.\n'good' - Says good things.")


def test_the_command_runs_and_helps() -> None:
    command = [sys.executable, "-m", "mainspring.plugins"]
    done = subprocess.run([*command, "-s"], capture_output=True, text=True, timeout=60, check=True)
    assert "" == done.stderr
    importlib.import_module("mainspring.plugins")  # alone it does nothing
    done = subprocess.run([*command, "-h"], capture_output=True, text=True, timeout=60, check=True)
    assert "usage: python -m mainspring.plugins [-h] [-q] [-n]" in done.stdout
