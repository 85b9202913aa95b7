"""Functions for worker processes."""

import asyncio
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from pickle import PickleBuffer
from typing import Any, SupportsIndex

state: dict[str, Any] = {}


def never_again(*_: object) -> "Odd":
    raise TypeError("odd ones are made once")


class Odd(Exception):
    """Cannot be made again."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")

    def __reduce__(self) -> tuple[Any, ...]:
        return never_again, ()


class Block:
    """Bytes that travel beside the pickle, as arrays do."""

    def __init__(self, data: Any) -> None:
        self.data = memoryview(data)

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return Block, (PickleBuffer(self.data),)


class Unloadable:
    """Can be pickled, but not unpickled where `refuse` says so."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.home = os.getpid()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if (os.getpid() == self.home) == (self.where == "at home"):
            raise LookupError("will not load")


def double(number: int) -> int:
    return number * 2


def fail(message: str) -> None:
    raise ValueError(message)


def fail_oddly() -> None:
    raise Odd("very", "odd")


def exit_politely() -> None:
    sys.exit(3)


def exit_at_once(code: int) -> None:
    os._exit(code)


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def return_lock() -> object:
    return threading.Lock()


def return_unloadable(value: Unloadable) -> Unloadable:
    return Unloadable("away")


def take_unloadable(value: Unloadable) -> None:
    pass


def use_setup(name: str) -> object:
    return state.get(name)


def set_up(name: str, value: object) -> None:
    state[name] = value


def fail_set_up() -> None:
    raise LookupError("no model here")


def die_in_set_up() -> None:
    os._exit(9)


def die_in_second_set_up(mark: str) -> None:
    """Live in the first process, die in all later ones."""
    try:
        Path(mark).touch(exist_ok=False)
    except FileExistsError:
        os._exit(9)


def fail_in_second_set_up(mark: str) -> None:
    """Live in the first process, raise in all later ones."""
    try:
        Path(mark).touch(exist_ok=False)
    except FileExistsError:
        raise LookupError("no second model") from None


def echo(value: Any) -> Any:
    return value


def hold(path: str, mark: str) -> str:
    """Say that this began, then wait until the other side hangs up."""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(path)
        try:
            channel.sendall(f"{mark} {os.getpid()}\n".encode())
            channel.recv(1)
        except asyncio.CancelledError:
            channel.sendall(b"interrupted\n")
            raise
    return mark


def hold_stubbornly(path: str, mark: str) -> str:
    """Like `hold`, but deaf to interruptions from the moment that it has begun."""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(path)
        begun = False
        while True:
            try:
                if not begun:
                    channel.sendall(f"{mark} {os.getpid()}\n".encode())
                    begun = True
                channel.recv(1)
                return mark
            except asyncio.CancelledError:
                pass


def note(path: str, mark: str) -> str:
    """Append a line to a file: the trace of having run."""
    with open(path, "a") as file:
        file.write(f"{mark}\n")
    return mark


def environment_of_worker() -> tuple[int, int | None]:
    return os.getpid(), signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def call_state(name: str) -> object:
    """Call a function that a test has left here; for worker loops in this process."""
    state[name]()
    return None


gate = threading.Event()


def wait_at_gate(number: int) -> int:
    gate.wait(30)
    return number


def count_blocks() -> int:
    """How much shared memory this process holds open."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # another thread has closed it just now
            count += "mainspring-block" in os.readlink(f"/proc/self/fd/{name}")
    return count
