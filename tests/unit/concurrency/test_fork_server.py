"""Children start from one fork server and one lifeline per process."""

import os

import pytest

from mainspring.concurrency import _fork_server, start_child_infrastructure


def _open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def _held_lifeline() -> tuple[int, int] | None:
    return _fork_server._lifeline


def test_starting_the_infrastructure_again_opens_nothing() -> None:
    start_child_infrastructure()
    before = _open_descriptors()
    start_child_infrastructure()
    assert before == _open_descriptors()


def test_a_forked_child_drops_its_copy_of_the_write_end() -> None:
    start_child_infrastructure()
    read_end, write_end = _held_lifeline() or pytest.fail("no lifeline")
    pid = os.fork()
    if pid == 0:
        try:
            os.fstat(write_end)
        except OSError:
            os.fstat(read_end)
            os._exit(0 if _held_lifeline() is None else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
