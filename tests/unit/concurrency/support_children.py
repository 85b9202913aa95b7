"""Functions that run in child processes, and short ways to hear from them."""

import os
import select
import signal
import socket
from multiprocessing import Process


def tell(channel: socket.socket, text: str) -> None:
    channel.sendall(text.encode() + b"\n")


def tell_environment(channel: socket.socket, name: str) -> None:
    tell(channel, f"{os.environ.get(name)} {os.getcwd()}")


def tell_pid_and_wait(channel: socket.socket) -> None:
    tell(channel, str(os.getpid()))
    signal.pause()


def ignore_terminate_and_wait(channel: socket.socket) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    tell_pid_and_wait(channel)


def exit_with(code: int) -> None:
    raise SystemExit(code)


def have_a_child() -> None:
    process = Process(target=exit_with, args=(7,))
    process.start()
    process.join()
    raise SystemExit(process.exitcode)


def read_line(channel: socket.socket) -> str:
    """Wait, blocking, for one line."""
    channel.settimeout(20)
    with channel.makefile() as lines:
        return lines.readline().rstrip("\n")


def process_exists(pid: int) -> bool:
    """Whether the process runs, zombies left out."""
    try:
        with open(f"/proc/{pid}/stat") as status:
            return status.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ended(pid_fd: int) -> bool:
    """Wait, blocking, for the end of a process."""
    return bool(select.select([pid_fd], [], [], 20)[0])
