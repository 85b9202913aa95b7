"""An event loop whose time is a number.

The loop asks its selector to wait until the next timer is due. Ours looks whether anything is ready and, when
nothing is, adds the wait to the number instead of waiting. Everything above (`asyncio.sleep`, timeouts, the
house's timers) works unchanged, and a year passes as fast as the work in it allows.

Time must not jump while somebody who lives in real time works for the loop. There are three kinds:

- work that was given away and will be answered: executor jobs, the house's thread pools, worker processes and
  SQLite owners (they count it in `outside_work`), and subprocesses until they exit. It *holds* the jump: the
  selector waits for real, at most `patience` seconds;
- connections to other processes, whose answers may or may not come: the loop *refuses* to jump;
- threads that nobody counted: not seen. Give their work to an executor.
"""

import asyncio
import math
import selectors
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import (
    Any,
    Final,
    TypeVar,
    TypeVarTuple,
    Unpack,
)  # Any: signatures of asyncio that typeshed spells out at length

from mainspring.base import current_random, outside_work
from mainspring.errors import VirtualClockError
from mainspring.testing._peers import foreign_peer

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_SLACK: Final = 0.05  # of a step, which is a microsecond: what adding floats may lose

_FileObject = Any  # an int or anything with fileno(), as the selectors module has it


class VirtualSelector(selectors.BaseSelector):
    """Waits in virtual time; see the head of this file."""

    def __init__(self, *, patience: float) -> None:
        self._real = selectors.DefaultSelector()
        self._unchecked_fds: set[int] = set()
        self._patience = patience
        self._outside_before = outside_work.count
        self.microseconds = 0
        self.executor_jobs = 0
        self.children: weakref.WeakSet[asyncio.SubprocessTransport] = weakref.WeakSet()
        self.when_quiet: list[Callable[[], None]] = []

    def register(self, fileobj: _FileObject, events: int, data: Any = None) -> selectors.SelectorKey:
        key = self._real.register(fileobj, events, data)
        self._unchecked_fds.add(key.fd)
        return key

    def unregister(self, fileobj: _FileObject) -> selectors.SelectorKey:
        key = self._real.unregister(fileobj)
        self._unchecked_fds.discard(key.fd)
        return key

    def modify(self, fileobj: _FileObject, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Mapping[_FileObject, selectors.SelectorKey]:
        return self._real.get_map()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # Read before looking: work that ends in between has then already made the loop ready.
        holders = self._holders() if self._is_held() else []
        ready = self._real.select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if holders:
            return self._wait_for(holders)
        if self.when_quiet:
            callbacks, self.when_quiet = self.when_quiet, []
            for callback in callbacks:
                callback()
            return ready
        if timeout is None:
            return self._real.select(None)  # no timer either: only the outside can go on
        self._refuse_foreign_peers()
        self.microseconds += steps_until(timeout)
        return ready

    def _is_held(self) -> bool:
        return bool(self.executor_jobs or outside_work.count > self._outside_before or self.children)

    def _holders(self) -> list[str]:
        holders = list[str]()
        if self.executor_jobs:
            holders.append(f"{self.executor_jobs} executor jobs")
        if outside_work.count > self._outside_before:
            holders.append(f"{outside_work.count - self._outside_before} calls in threads or workers")
        running = [child.get_pid() for child in self.children if child.get_returncode() is None]
        if running:
            holders.append(f"child processes {running}")
        return holders

    def _wait_for(self, holders: list[str]) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(self._patience)
        if not ready:
            raise VirtualClockError(
                reason=f"{' and '.join(holders)} held it for {self._patience:g} s of real time",
                hint="raise patience= for long work; work that itself waits for the loop's time never ends",
            )
        return ready

    def _refuse_foreign_peers(self) -> None:
        for fd in tuple(self._unchecked_fds):
            peer = foreign_peer(fd)
            if peer is not None:
                raise VirtualClockError(
                    reason=f"{peer} is open, and whoever is there lives in real time",
                    hint="use the real clock with eventually(), or a fake of the peer inside of the process",
                )
            self._unchecked_fds.discard(fd)


def steps_until(seconds: float) -> int:
    """Return the first step that does not come before so many seconds."""
    return math.ceil(seconds * 1e6 - _SLACK)


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop of a VirtualClock; `time()` starts at 0 and moves in whole microseconds."""

    _ready: deque[asyncio.Handle]  # asyncio's own queue of what runs next

    def __init__(self, *, patience: float, shuffle: bool = False) -> None:
        self.virtual_selector = VirtualSelector(patience=patience)
        super().__init__(self.virtual_selector)
        self._shuffle = shuffle
        # invariant: timers lie on whole steps, so half of one tells those that are due from the next ones
        self._clock_resolution = 0.5e-6

    def time(self) -> float:
        return self.virtual_selector.microseconds / 1e6

    def call_later(
        self,
        delay: float,
        callback: "Callable[[Unpack[Ts]], object]",
        *args: "Unpack[Ts]",
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        when = self.time() + delay
        return self.call_at(math.nextafter(when, math.inf) if delay > 0 else when, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: "Callable[[Unpack[Ts]], object]",
        *args: "Unpack[Ts]",
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        # What lies ahead, by however little, is at least one step ahead. Else whoever sets such timers over and over,
        # and looks at the clock in between, would see it stand still for ever.
        if self.time() < when < math.inf:
            when = max(steps_until(when), self.virtual_selector.microseconds + 1) / 1e6
        return super().call_at(when, callback, *args, context=context)

    def _run_once(self) -> None:
        if self._shuffle and len(self._ready) > 1:
            handles = list(self._ready)
            current_random().shuffle(handles)
            self._ready.clear()
            self._ready.extend(handles)
        super()._run_once()  # type: ignore[misc]  # asyncio's own step, which typeshed leaves out

    def run_in_executor(
        self, executor: Any, func: "Callable[[Unpack[Ts]], T]", *args: "Unpack[Ts]"
    ) -> "asyncio.Future[T]":
        future = super().run_in_executor(executor, func, *args)
        self._hold_until_done(future)
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        self.virtual_selector.executor_jobs += 1
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self.virtual_selector.executor_jobs -= 1

    async def subprocess_exec(self, *args: Any, **kwargs: Any) -> Any:
        transport, protocol = await super().subprocess_exec(*args, **kwargs)
        self.virtual_selector.children.add(transport)
        return transport, protocol

    async def subprocess_shell(self, *args: Any, **kwargs: Any) -> Any:
        transport, protocol = await super().subprocess_shell(*args, **kwargs)
        self.virtual_selector.children.add(transport)
        return transport, protocol

    def _hold_until_done(self, future: "asyncio.Future[Any]") -> None:
        self.virtual_selector.executor_jobs += 1

        def release(_: object) -> None:
            self.virtual_selector.executor_jobs -= 1

        future.add_done_callback(release)
