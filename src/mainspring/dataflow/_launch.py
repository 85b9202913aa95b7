"""How a worker comes to life: in a process of its own, or as a task beside its supervisor."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from typing import Final, Protocol

from mainspring.base import Speaker, child_talk
from mainspring.concurrency import ChildProcess, Descriptor, start_child
from mainspring.dataflow._control import close_descriptors
from mainspring.dataflow._plan import WorkerPlan, pack, unpack
from mainspring.dataflow._talk import Ear, speak
from mainspring.dataflow._worker import run_worker
from mainspring.errors import MisuseError
from mainspring.runtime import hear_children
from mainspring.sinks import open_here

log = logging.getLogger(__name__)

_CAN_FORK: Final = sys.platform == "linux"


class Child(Protocol):
    """A running worker, as its supervisor sees it."""

    @property
    def pid(self) -> int:
        """The id of its process."""
        ...

    @property
    def descriptors(self) -> Sequence[int]:
        """What a forked worker must not keep."""
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
    method = start_method or choose_start_method(plan.stage.sink)
    if method == "fork" and (database := open_here(plan.stage.sink)) is not None:
        raise MisuseError(
            what=f"the database {database}, into which stage {plan.stage.label} writes,",
            problem="is open in this process, and a forked one may not open it too",
            hint="close it here meanwhile, or leave start_method out",
        )
    load = plan if method == "fork" else pack(plan)
    hear_children()  # what stages log belongs to the program, whoever configured logging
    ours, theirs = socket.socketpair()
    with theirs, contextlib.ExitStack() as undo:
        undo.callback(ours.close)
        ear = Ear(ours)
        undo.callback(ear.close)
        unwanted = [*strangers, *ear.descriptors] if method == "fork" else []
        arguments = (load, Descriptor(end.fileno()), unwanted, Descriptor(theirs.fileno()), child_talk.speaker())
        # no waiting before a fork: the descriptors of strangers would be others
        child = await start_child(_work, arguments, name=f"{plan.flow} {plan.id}", start_method=method)
        undo.pop_all()
    return WorkerProcess(child, ear)


class WorkerProcess:
    """A worker in a process of its own, and the ear for what it says."""

    def __init__(self, child: ChildProcess, ear: Ear) -> None:
        self._child = child
        self._ear = ear
        self.pid = child.pid

    @property
    def descriptors(self) -> list[int]:
        """What a forked worker must not keep."""
        return self._ear.descriptors

    async def wait(self) -> int | None:
        """Wait for its end and its last words; return its exit code."""
        exit_code = await self._child.wait()
        await self._ear.hear_out()
        return exit_code

    def kill(self) -> None:
        """End it at once."""
        self._child.kill()


def choose_start_method(sink: object = None) -> str | None:
    """Return "fork" where a fork copies everything a worker needs and no lock that a thread holds, else None.

    Args:
        sink: into which the worker writes; one whose database is open here is not forked along.
    """
    if not _CAN_FORK or threading.active_count() > 1 or len(os.listdir("/proc/self/task")) > 1:
        return None
    return "fork" if sink is None or open_here(sink) is None else None


async def launch_inline(plan: WorkerPlan, end: socket.socket) -> Child:
    """Start a worker as a task of this loop, with a copy of the line's end."""
    return InlineWorker(plan, end.dup())


class InlineWorker:
    """A worker that is a task; for tests, and to see a topology work in a debugger."""

    pid = os.getpid()
    descriptors: tuple[int, ...] = ()

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


def _work(
    load: WorkerPlan | bytes, end: Descriptor, strangers: list[int], mouth: Descriptor, speaker: Speaker | None
) -> None:
    """Be a worker process."""
    close_descriptors(strangers)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the supervisor decides
    with socket.socket(fileno=mouth.fd) as line:
        flush = speak(line, speaker)
        try:
            asyncio.run(run_worker(unpack(load), socket.socket(fileno=end.fd)))
        finally:
            flush()
