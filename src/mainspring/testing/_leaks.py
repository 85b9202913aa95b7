"""What a program holds at a moment (tasks, threads, descriptors, children), and what was left behind since.

Reads /proc, so descriptors and children are seen on Linux only; elsewhere they count as none.
"""

import asyncio
import contextlib
import gc
import os
import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

from mainspring.base import SystemClock

LeakKind = Literal["tasks", "threads", "descriptors", "children"]

LEAK_KINDS: Final[tuple[LeakKind, ...]] = ("tasks", "threads", "descriptors", "children")

_PAUSE: Final = 0.01

_clock: Final = SystemClock()  # a test's own clock may stand still


@dataclass(frozen=True, slots=True)
class Holdings:
    """What this process holds: each thing with its description."""

    tasks: dict[object, str]
    threads: dict[object, str]
    descriptors: dict[object, str]
    children: dict[object, str]

    @classmethod
    def take(cls, loops: Iterable[asyncio.AbstractEventLoop] = ()) -> Self:
        """Return what is held now; of tasks those that are pending on `loops`."""
        return cls(
            tasks={task: repr(task) for loop in loops for task in asyncio.all_tasks(loop)},
            threads={thread: repr(thread) for thread in threading.enumerate() if not _is_dummy(thread)},
            descriptors=_descriptors(),
            children=_descendants(os.getpid()),
        )

    def grown_since(self, before: Self, *, ignore: Collection[LeakKind] = ()) -> list[str]:
        """Return what is here and was not there before, in words."""
        return [
            f"{kind}: {described}"
            for kind in LEAK_KINDS
            if kind not in ignore
            for thing, described in getattr(self, kind).items()
            if thing not in getattr(before, kind)
        ]

    def with_growth(self, before: Self, after: Self) -> Self:
        """Return these holdings and what came between `before` and `after`."""
        return type(self)(
            *(
                getattr(self, kind)
                | {thing: text for thing, text in getattr(after, kind).items() if thing not in getattr(before, kind)}
                for kind in LEAK_KINDS
            )
        )


def pending_tasks(loop: asyncio.AbstractEventLoop, before: Holdings) -> list[str]:
    """Return the tasks that are pending on `loop` and were not there before, in words."""
    return [f"tasks: {task!r}" for task in asyncio.all_tasks(loop) if task not in before.tasks]


def wait_for_leaks(before: Holdings, *, ignore: Collection[LeakKind] = (), patience: float) -> list[str]:
    """Return what was left behind since `before`, tasks aside, in words; nothing is the usual answer.

    What seems left is given `patience` real seconds to end. Garbage is collected before each look, with pauses that
    become longer: what a thread still holds that is about to end is garbage only when it has ended.
    """
    ignored: set[LeakKind] = {"tasks", *ignore}
    leaks = Holdings.take().grown_since(before, ignore=ignored)
    if not leaks:
        return leaks
    deadline, pause, never = _clock.monotonic() + patience, _PAUSE, threading.Event()
    while True:
        left = deadline - _clock.monotonic()
        gc.collect()
        leaks = Holdings.take().grown_since(before, ignore=ignored)
        if not leaks or left <= 0:
            return leaks
        never.wait(min(pause, left))
        pause *= 2


def _is_dummy(thread: threading.Thread) -> bool:
    # A thread of foreign code that once called Python; it stays listed for ever.
    return isinstance(thread, threading._DummyThread)


def _descriptors() -> dict[object, str]:
    """Map (number, target) of every open descriptor to words."""
    found: dict[object, str] = {}
    for name in _entries("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the listing's own descriptor is gone by now
            target = os.readlink(f"/proc/self/fd/{name}")
            found[int(name), target] = f"{name} -> {target}"
    return found


def _descendants(pid: int) -> dict[object, str]:
    """Map the number of every child process, and of their children, to words."""
    found: dict[object, str] = {}
    for thread in _entries(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):
            for child in map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split()):
                found[child] = f"process {child} ({_command(child)})"
                found |= _descendants(child)
    return found


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        if ") Z " in Path(f"/proc/{pid}/stat").read_text():
            return "ended, not waited for"
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return command.strip()[:200] or "starting"
    return "gone"


def _entries(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []
