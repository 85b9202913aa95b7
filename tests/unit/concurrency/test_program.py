"""Programs start as those of subprocess do, and say in a sentence when they cannot."""

import asyncio
import subprocess
import sys

import pytest

from mainspring.concurrency import open_program, start_program
from mainspring.errors import ChildStartError


def test_a_program_is_a_process_of_subprocess() -> None:
    with open_program([sys.executable, "-c", "print('here')"], stdout=subprocess.PIPE) as program:
        said, _ = program.communicate(timeout=50)
    assert (b"here", 0) == (said.strip(), program.returncode)


async def test_on_a_loop_it_is_one_of_asyncio() -> None:
    program = await start_program(sys.executable, "-c", "print('here')", stdout=asyncio.subprocess.PIPE)
    said, _ = await program.communicate()
    assert (b"here", 0) == (said.strip(), program.returncode)


async def test_one_that_is_not_there_is_named() -> None:
    with pytest.raises(ChildStartError, match="no-such-program did not start"):
        open_program(["no-such-program"])
    with pytest.raises(ChildStartError, match="no-such-program did not start"):
        await start_program("no-such-program")
