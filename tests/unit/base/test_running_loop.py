"""A loop is known to run here, or it is asked for."""

import asyncio
import subprocess
import sys
import textwrap

import pytest

from mainspring.base import _running_loop, runs_here
from mainspring.concurrency import ThreadPoolExecutor


async def _alone(other: asyncio.AbstractEventLoop) -> tuple[bool, bool]:
    return runs_here(other), runs_here(asyncio.get_running_loop())


async def test_the_loop_of_this_thread_runs_here() -> None:
    assert runs_here(asyncio.get_running_loop())
    assert not runs_here(None)


def test_no_loop_runs_where_none_is() -> None:
    assert not runs_here(None)
    with pytest.raises(RuntimeError), ThreadPoolExecutor(1) as pool:
        _ = pool.run(int)


@pytest.mark.parametrize("asking_is_cheap", [True, False])
def test_both_ways_to_tell_agree(monkeypatch: pytest.MonkeyPatch, asking_is_cheap: bool) -> None:
    monkeypatch.setattr(_running_loop._asking, "cheap", asking_is_cheap)
    other = asyncio.new_event_loop()
    with asyncio.Runner() as runner:
        assert (False, True) == runner.run(_alone(other))
        assert (False, False) == (runs_here(None), runs_here(runner.get_loop()))
    other.close()


def test_a_loop_that_has_stopped_runs_nowhere() -> None:
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        assert (True, True) == runner.run(_alone(loop))
        assert not runs_here(loop)
    assert not runs_here(loop)


async def test_the_loop_of_another_thread_does_not_run_here() -> None:
    here = asyncio.get_running_loop()
    assert (False, True) == await asyncio.to_thread(asyncio.run, _alone(here))
    assert not await asyncio.to_thread(runs_here, here)


def test_the_loop_of_the_parent_does_not_run_in_a_fork() -> None:
    """A child that is forked inside of a running loop has one of its own."""
    program = """
        import asyncio, os, sys
        from mainspring.base import runs_here

        async def main():
            loop = asyncio.get_running_loop()
            child = os.fork()
            if not child:
                os._exit(7 + runs_here(loop))
            assert runs_here(loop)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        sys.exit(asyncio.run(main()))
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(program)], timeout=60, check=False).returncode == 7
