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


# In a group of its own, which gets what a terminal sends to all of its processes: here at the worst moment.
_INTERRUPTED = """
import asyncio, os, signal
from mainspring.concurrency import WorkerPool, _fork_server, start_child_infrastructure

async def main():
    async with WorkerPool(1) as pool:
        print(signal.SIGINT in await pool.create_task(signal.pthread_sigmask, signal.SIG_BLOCK, ()))

signal.signal(signal.SIGINT, lambda *_: None)
start_child_infrastructure()
status, minds = f"/proc/{_fork_server.fork_server()._forkserver_pid}/status", 0
while not minds & 1 << signal.SIGINT - 1:  # until the interpreter runs, which takes its time to import
    with open(status) as file:
        masks = [line.split()[1] for line in file if line.startswith(("SigIgn", "SigCgt"))]
    minds = int(masks[0], 16) | int(masks[1], 16)
os.killpg(0, signal.SIGINT)
asyncio.run(main())
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


def test_ctrl_c_while_the_server_starts_ends_nothing_and_children_hear_it_again() -> None:
    command = [sys.executable, "-c", _INTERRUPTED]
    ended = subprocess.run(command, timeout=60, check=False, capture_output=True, text=True, start_new_session=True)
    assert (0, "False\n", "") == (ended.returncode, ended.stdout, ended.stderr)
