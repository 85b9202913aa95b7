"""The chapters foreverloop and safeLoop of the mutil seed."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.meta.support_tree import SRC

from mainspring.compat.mutil.foreverloop import ForeverLoop


async def test_foreverloop_gives_results_and_schedules_again() -> None:
    numbers = {"a": 0, "b": 0}

    def reader(name):
        async def read():
            await asyncio.sleep(0)
            numbers[name] += 1
            return name, numbers[name]

        return read

    loop = ForeverLoop()
    added = loop.addRunner(reader("a"), meta="first")
    assert "first" == loop.metaForTask(added)
    loop.addRunners([(reader("b"), "second")])
    results = []
    async for task in loop.runForever():
        results.append((*(await task), loop.metaForTask(task)))
        if len(results) == 4:
            replaced = loop.replaceRunner(task)
            loop.removeRunner(replaced)
            loop.removeRunnerSafe(replaced)
            break
    assert [("a", 1, "first"), ("b", 1, "second"), ("a", 2, "first"), ("b", 2, "second")] == results
    await asyncio.sleep(0)
    assert [] == await loop.getAllOnce()


PROGRAM = """
import asyncio
import os
import signal
import sys
from mainspring.compat.mutil import safeLoop

async def mainfn():
    print("running", type(asyncio.get_running_loop()).__module__, flush=True)
    try:
        await asyncio.sleep(60)
    finally:
        if "--slow" in sys.argv:
            print("slow", flush=True)
            await asyncio.sleep(60)
        print("cleaned", flush=True)

async def short():
    print("short", flush=True)

if "--asyncio" in sys.argv:
    safeLoop.safeLoop([mainfn, short()], customloop=None)
elif "--coroutine" in sys.argv:
    safeLoop.safeLoop(mainfn())
else:
    safeLoop.safeLoop(mainfn)
"""


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    script = folder / "program.py"
    script.write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(script), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("arguments", [(), ("--asyncio",), ("--coroutine",)])
def test_safe_loop_runs_until_ctrl_c(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with start(tmp_path, *arguments) as program:
        assert program.stdout is not None
        assert "running" in program.stdout.readline()
        if "--asyncio" in arguments:
            assert "short" in program.stdout.readline()
        program.send_signal(signal.SIGINT)
        said, complaints = program.communicate(timeout=50)
    assert 0 == program.returncode, complaints
    assert "" == complaints
    assert ["cleaned", "Done!"] == said.splitlines()[-2:]


def test_a_second_ctrl_c_exits_with_status_1(tmp_path: Path) -> None:
    with start(tmp_path, "--slow", "--asyncio") as program:
        assert program.stdout is not None
        for _ in range(2):
            program.stdout.readline()
        program.send_signal(signal.SIGINT)
        while "slow" not in program.stdout.readline():
            pass
        program.send_signal(signal.SIGINT)
        program.communicate(timeout=50)
    assert 1 == program.returncode
