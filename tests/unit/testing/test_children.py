"""A PythonChild is watched by its lines, killed at will, and never left behind."""

import signal
from pathlib import Path

import pytest

import mainspring
from mainspring.errors import ClosedError, NeverHappenedError
from mainspring.testing import PythonChild, eventually

_COUNT = "print('one'); print('two'); print('three'); input()"


async def test_lines_are_found_in_order_and_kept() -> None:
    async with PythonChild("-c", _COUNT) as child:
        assert await child.line("two") == "two"
        assert await child.line("three") == "three"
        assert child.lines == ["one", "two", "three"]
        assert child.returncode is None
        assert await child.kill() == -9
        assert await child.kill() == -9
    assert "returncode=-9" in repr(child)


async def test_a_missing_line_shows_the_output_when_it_ended() -> None:
    async with PythonChild("-c", "import sys; sys.exit('it broke')") as child:
        with pytest.raises(NeverHappenedError, match=r"a line with 'ready'.*it broke"):
            await child.line("ready")
        assert await child.wait() == 1


async def test_waits_are_bounded() -> None:
    async with PythonChild("-c", "input()") as child:
        with pytest.raises(NeverHappenedError, match="a line with 'x'"):
            await child.line("x", within=0.02)
        with pytest.raises(NeverHappenedError, match="the exit of <PythonChild"):
            await child.wait(within=0.02)


async def test_it_takes_signals_variables_and_a_directory(tmp_path: Path) -> None:
    code = "import os; print(os.environ['COLOUR'], os.getcwd()); input()"
    async with PythonChild("-c", code, environment={"COLOUR": "red"}, directory=tmp_path) as child:
        assert f"red {tmp_path}" == await child.line("red")
        assert await child.send(signal.SIGTERM) == -signal.SIGTERM


async def test_the_end_of_the_block_kills_its_descendants_too() -> None:
    code = "import os, signal\nos.fork()\nos.write(1, b'pid %d\\n' % os.getpid())\nsignal.pause()"
    async with PythonChild("-c", code) as child:
        pids = [int((await child.line("pid")).split()[1]) for _ in range(2)]
    assert child.pid in pids
    await eventually(lambda: not any(_runs(pid) for pid in pids))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_before_it_is_entered_there_is_no_process() -> None:
    child = PythonChild("-c", "pass")
    assert child.returncode is None
    with pytest.raises(ClosedError, match="child process"):
        _ = child.pid


async def test_a_child_imports_what_its_parent_can() -> None:
    async with PythonChild("-c", "import mainspring; print(mainspring.__file__)") as child:
        found = await child.line("mainspring")
    assert found == str(mainspring.__file__)
