"""Children start from one fork server and one lifeline per process."""

import os
import subprocess
import sys

from mainspring.concurrency import start_child_infrastructure

# In an interpreter of its own: forking beside the threads of all other tests is what no program should do.
_FORK = """
import os
from mainspring.concurrency import _fork_server, start_child_infrastructure

start_child_infrastructure()
read_end, write_end = _fork_server._lifeline
os.fstat(write_end)
os.write(1, b"open before, ")
pid = os.fork()
if pid == 0:
    os.fstat(read_end)
    try:
        os.fstat(write_end)
    except OSError:
        os.write(1, b"closed in the child")
        os._exit(0 if _fork_server._lifeline is None else 2)
    os._exit(1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def _open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_starting_the_infrastructure_again_opens_nothing() -> None:
    start_child_infrastructure()
    before = _open_descriptors()
    start_child_infrastructure()
    assert before >= _open_descriptors()


def test_a_forked_child_drops_its_copy_of_the_write_end() -> None:
    ended = subprocess.run([sys.executable, "-c", _FORK], timeout=60, check=True, capture_output=True)
    assert b"open before, closed in the child" == ended.stdout
