"""A child knows where its parent's main module came from, and takes it in only when it must."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from mainspring.concurrency import _child_main
from mainspring.concurrency._child_main import ORPHANED, MainModule, Packed, describe_main, import_main


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("__main__")
    module.__spec__ = None
    monkeypatch.setitem(sys.modules, "__main__", module)
    monkeypatch.setitem(sys.modules, "__mp_main__", module)
    monkeypatch.setattr(_child_main, "_main_imported", False)
    return module


def test_a_script_is_described_by_its_path(main: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("program.py").touch()
    main.__file__ = "program.py"
    assert MainModule("path", os.path.abspath("program.py")) == describe_main()


def test_a_prompt_has_no_description(main: ModuleType) -> None:
    assert describe_main() is None
    import_main(None)
    assert main is sys.modules["__main__"]
    main.__file__ = "<stdin>"  # a program from a pipe
    assert describe_main() is None


@pytest.mark.parametrize("kind", ["name", "path"])
def test_the_main_module_is_imported_once_under_another_name(
    main: ModuleType, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "imported_main.py"
    script.write_text("name = __name__")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    where = MainModule("name", "imported_main") if kind == "name" else MainModule("path", str(script))
    import_main(where)
    imported = sys.modules["__main__"]
    assert imported is not main
    assert imported.name == "__mp_main__"
    import_main(where)
    assert imported is sys.modules["__main__"]


def test_what_is_not_pickled_is_unpacked_as_it_is() -> None:
    value = object()
    assert value is Packed(value).unpack()


def test_the_watch_ends_the_process_with_the_lifeline() -> None:
    program = "import os; from mainspring.concurrency._child_main import _exit_with_parent as watch\n"
    program += "r, w = os.pipe(); os.write(w, b'x'); os.close(w); watch(r)"
    path = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", program], env=path, check=False).returncode == ORPHANED
