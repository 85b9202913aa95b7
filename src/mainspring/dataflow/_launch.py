"""How a worker comes to life: in a process of its own, or as a task beside its supervisor."""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from typing import Final, Protocol

from mainspring.concurrency import Descriptor, start_child
from mainspring.dataflow._control import close_descriptors
from mainspring.dataflow._plan import WorkerPlan, pack, unpack
from mainspring.dataflow._worker import run_worker

log = logging.getLogger(__name__)

_CAN_FORK: Final = sys.platform == "linux"


class Child(Protocol):
    """A running worker, as its supervisor sees it."""

    @property
    def pid(self) -> int:
        """The id of its process."""
        ...

    async def wait(self) -> int | None:
        """Wait for its end; return its exit code."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...


async def launch_process(
    plan: WorkerPlan, end: socket.socket, *, strangers: list[int], start_method: str | None
) -> Child:
    """Start a worker process.

    Args:
        plan: what it is to do.
        end: its end of the line to the supervisor; the caller closes its own copy.
        strangers: descriptors that a fork copies along, and which the worker closes.
        start_method: "fork", "forkserver" or "spawn"; None to choose.
    """
    method = start_method or choose_start_method()
    load = plan if method == "fork" else pack(plan)
    arguments = (load, Descriptor(end.fileno()), strangers if method == "fork" else [])
    return await start_child(_work, arguments, name=f"{plan.flow} {plan.id}", start_method=method)


def choose_start_method() -> str | None:
    """Return "fork" where a fork copies everything a worker needs and no lock that a thread holds, else None."""
    if not _CAN_FORK or threading.active_count() > 1 or len(os.listdir("/proc/self/task")) > 1:
        return None
    return "fork"


async def launch_inline(plan: WorkerPlan, end: socket.socket) -> Child:
    """Start a worker as a task of this loop, with a copy of the line's end."""
    return InlineWorker(plan, end.dup())


class InlineWorker:
    """A worker that is a task; for tests, and to see a topology work in a debugger."""

    pid = os.getpid()

    def __init__(self, plan: WorkerPlan, end: socket.socket) -> None:
        self._plan = plan
        self._task = asyncio.create_task(run_worker(plan, end), name=f"{plan.flow} {plan.id}")

    async def wait(self) -> int:
        """Wait for its end; return 0, or 1 when it has failed."""
        await asyncio.wait([self._task])
        if self._task.cancelled():
            return -signal.SIGKILL
        if (error := self._task.exception()) is not None:
            log.error("%s: worker %s has failed", self._plan.flow, self._plan.id, exc_info=error)
            return 1
        return 0

    def kill(self) -> None:
        """Cancel it."""
        self._task.cancel()


def _work(load: WorkerPlan | bytes, end: Descriptor, strangers: list[int]) -> None:
    """Be a worker process."""
    close_descriptors(strangers)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the supervisor decides
    asyncio.run(run_worker(unpack(load), socket.socket(fileno=end.fd)))
