"""Plain imports of the older names find the modules of compat, each object once under both names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mainspring.compat import install
from mainspring.errors import InvalidArgumentError


def run(*arguments: str, folder: Path, code: int = 0) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert code == done.returncode, done.stderr
    return done.stdout + done.stderr


def test_a_plain_import_gives_the_same_objects_under_both_names(tmp_path: Path) -> None:
    program = """
from mainspring.compat import install
install("aiomisc")
install("aiomisc")
import aiomisc.entrypoint, aiomisc.log, aiomisc.utils, aiomisc_log.formatter.color
from aiomisc.entrypoint import entrypoint
import mainspring.compat.aiomisc as ours
assert aiomisc is ours and aiomisc.__spec__.name == "mainspring.compat.aiomisc"
assert aiomisc.entrypoint is entrypoint is ours.Entrypoint, aiomisc.entrypoint
from aiomisc_log.enum import LogFormat
assert aiomisc.log.LogFormat is LogFormat
try:
    import aiomisc.no_such_module
except ModuleNotFoundError as error:
    print(error.name)
try:
    import mutil
except ModuleNotFoundError as error:
    print(error.name)
"""
    assert ["aiomisc.no_such_module", "mutil"] == run("-W", "error", "-c", program, folder=tmp_path).splitlines()


def test_another_name_and_a_library_that_is_there_already_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="one of aiomisc, mutil"):
        install("aiomisk")
    (tmp_path / "aiomisc.py").write_text("")
    program = """
import sys
sys.path.insert(0, "")
import aiomisc
from mainspring.compat import install
from mainspring.errors import MisuseError
try:
    install("aiomisc")
except MisuseError as error:
    print(error)
"""
    assert "the library aiomisc was imported before" in run("-c", program, folder=tmp_path)


@pytest.mark.parametrize("how", [("-m", "program"), ("program.py",)])
def test_a_program_runs_untouched(how: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("from aiomisc import Service\n")
    (tmp_path / "program.py").write_text(
        "import sys\nfrom beside import Service\nif __name__ == '__main__': print(Service.__name__, sys.argv[1:])\n"
    )
    assert "Service ['-x', '1']\n" == run("-m", "mainspring.compat", *how, "-x", "1", folder=tmp_path)


@pytest.mark.parametrize("kind", ["WorkerPool", "ProcessPoolExecutor"])
def test_workers_of_an_untouched_program_find_the_older_names(kind: str, tmp_path: Path) -> None:
    package = tmp_path / "older"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "tasks.py").write_text("from aiomisc import chunk_list\ndef halves(n): return list(chunk_list(n, 2))\n")
    (package / "__main__.py").write_text(f"""
import asyncio
from aiomisc import {kind}
from older.tasks import halves

async def main():
    if "{kind}" == "WorkerPool":
        async with WorkerPool(1) as pool:
            print(await pool.create_task(halves, (1, 2, 3)))
    else:
        with ProcessPoolExecutor(1) as pool:
            print(await asyncio.get_running_loop().run_in_executor(pool, halves, (1, 2, 3)))

if __name__ == "__main__":
    asyncio.run(main())
""")
    assert "[[1, 2], [3]]\n" == run("-m", "mainspring.compat", "-m", "older", folder=tmp_path)


def test_the_command_of_the_plugins_runs_under_its_older_name(tmp_path: Path) -> None:
    assert "" == run("-W", "error", "-m", "mainspring.compat", "-m", "aiomisc.plugins", "-s", folder=tmp_path)
    help_text = run("-m", "mainspring.compat.aiomisc.plugins", "-h", folder=tmp_path)
    assert "usage: python -m aiomisc.plugins [-h]" in help_text


def test_the_usage_is_told(tmp_path: Path) -> None:
    assert "usage: python -m mainspring.compat" in run("-m", "mainspring.compat", "-x", folder=tmp_path, code=2)
