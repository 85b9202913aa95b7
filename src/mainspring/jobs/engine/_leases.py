"""Leases by name: what only one of all the processes on a store may do at a time.

A lease hangs on its node's epoch and needs no renewal of its own: it ends when it is given back, and when the node
dies or is cut off. A node that cannot renew its epoch cancels who holds a lease while the epoch still counts, as it
does with its handlers; only then may another node have it.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final  # Any: whoever asks for the resource

from mainspring.base import Backoff, current_random, new_id
from mainspring.errors import (
    ClosedError,
    InvalidArgumentError,
    LeaseLostError,
    LeaseTakenError,
    MisuseError,
    StorageError,
)
from mainspring.jobs.engine._node import Node
from mainspring.jobs.stores import JobStore, LeaseRow, TakeLease
from mainspring.resilience import retry, timeout
from mainspring.runtime import Resource

if TYPE_CHECKING:
    from mainspring.jobs.engine._app import JobApp

_STORE_TROUBLE: Final = Backoff(0.1, maximum=5.0, jitter="full")  # as long as the app is open


@dataclass(frozen=True, slots=True)
class HeldLease:
    """A lease that this process holds; send `fence` along to refuse a late writer: each holder's is larger."""

    name: str
    fence: int


class Lease(Resource):
    """A resource that one run, or one service, of all processes on a store has at a time: a `HeldLease`.

    It is free again when its holder leaves it, or when its node dies. A holder whose node is cut off from the store is
    cancelled while the lease still holds, and its block raises LeaseLostError. Not reentrant.

    Args:
        name: 1 to 200 characters, the same for all who share it.
        app: whose store keeps it; in a job its own app unless given.
        wait: wait for it; else LeaseTakenError is raised when somebody has it.

    Raises:
        InvalidArgumentError: the name is too short or too long.
    """

    def __init__(self, name: str, *, app: "JobApp | None" = None, wait: bool = True) -> None:
        check_lease_name(name)
        self.name = name
        self._app = app
        self._wait = wait

    @asynccontextmanager
    async def acquire(self, ctx: Any) -> AsyncGenerator[HeldLease]:  # Any: as above
        """Hold it for one run."""
        app: JobApp | None = self._app or getattr(ctx, "app", None)
        if app is None:
            raise MisuseError(what=f"the lease {self.name!r}", problem="belongs to no app", hint="give it app=")
        async with app.lease(self.name, wait=self._wait) as held:
            yield held


def check_lease_name(name: str) -> None:
    """Refuse a name that no store keeps.

    Raises:
        InvalidArgumentError: it is too short or too long.
    """
    if not 0 < len(name) <= 200:
        raise InvalidArgumentError(argument="name", value=name, expected="1 to 200 characters")


class _Guard:
    """Cancels who holds a lease when it cannot be kept."""

    def __init__(self, epoch: int) -> None:
        task = asyncio.current_task()
        if task is None:
            raise MisuseError(what="a lease", problem="is held by a task", hint="enter it in a coroutine")
        self._task = task
        self._cancelled_before = task.cancelling()
        self.epoch = epoch
        self.is_lost = False

    def lose(self) -> None:
        if not self.is_lost:
            self.is_lost = True
            self._task.cancel()

    def end(self) -> None:
        """Turn our own cancellation into the error that tells why; one of somebody else goes on."""
        if self.is_lost and self._task.uncancel() <= self._cancelled_before:
            raise LeaseLostError(epoch=self.epoch)

    def take_back(self) -> None:
        """Take our own cancellation back: the body has made another error of it."""
        if self.is_lost:
            self._task.uncancel()


class Leases:
    """The leases of an open app."""

    def __init__(self, store: JobStore, node: Node, *, poll_interval: float) -> None:
        self._store = store
        self._node = node
        self._poll_interval = poll_interval
        self._guards: set[_Guard] = set()
        self._freed = asyncio.Event()
        self._closing = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def lost(self) -> None:
        """Cancel whoever holds a lease: the node cannot keep it."""
        for guard in list(self._guards):
            guard.lose()

    async def close(self) -> None:
        """Cancel those who still hold one: the node is gone, and its leases with it."""
        self.lost()
        self._closing.set()
        self._freed.set()
        await asyncio.gather(*self._tasks)

    @asynccontextmanager
    async def hold(self, name: str, *, wait: bool) -> AsyncGenerator[HeldLease]:
        """Hold a lease within the block; see `Lease`."""
        if not self._node.epoch:
            raise MisuseError(what=f"the lease {name!r}", problem="needs an app that runs jobs", hint="open() it whole")
        row = await self._take(name, wait=wait)
        guard = _Guard(row.epoch)
        self._guards.add(guard)
        try:
            yield HeldLease(name, row.fence)
        except asyncio.CancelledError:
            guard.end()
            raise
        except BaseException:
            guard.take_back()
            raise
        else:
            guard.end()
        finally:
            self._guards.discard(guard)
            await self._give_back(name, row.holder)

    async def _take(self, name: str, *, wait: bool) -> LeaseRow:
        while True:
            row = await self._ask(name, wait=wait)
            if row is not None and row.epoch == self._node.epoch and not self._node.tenure.is_ending:
                return row
            if row is not None:  # the node took a new epoch meanwhile, or is about to
                await self._give_back(name, row.holder)
                continue
            if not wait:
                raise LeaseTakenError(lease=name, node=await self._holder_of(name))
            await self._pause()

    async def _ask(self, name: str, *, wait: bool) -> LeaseRow | None:
        """Return the row of this process, None while somebody else has the lease."""
        if self._closing.is_set():
            raise ClosedError(what="the app")
        if self._node.tenure.is_ending:  # who got it now could not be told in time to leave
            if not wait:
                raise LeaseLostError(epoch=self._node.epoch)
            return None
        command = TakeLease(lease=name, holder=new_id(), epoch=self._node.epoch)
        try:
            row = await self._store.take_lease(command)
        except LeaseLostError:  # the node is about to take another epoch
            if not wait:
                raise
            return None
        except BaseException:
            _ = self._start_drop(name, command.holder)  # it may have been taken all the same
            raise
        return row if row.holder == command.holder else None

    async def _holder_of(self, name: str) -> str:
        rows = await self._store.leases()
        return next((row.node for row in rows if row.lease == name), "that just gave it back")

    async def _pause(self) -> None:
        self._freed.clear()
        with suppress(TimeoutError):
            async with timeout(self._poll_interval * current_random().uniform(0.9, 1.1)):
                await self._freed.wait()

    async def _give_back(self, name: str, holder: str) -> None:
        await asyncio.shield(self._start_drop(name, holder))  # shielded: else nobody could have it while we live

    def _start_drop(self, name: str, holder: str) -> "asyncio.Task[None]":
        task = asyncio.create_task(self._drop(name, holder), name="mainspring-lease-drop")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _drop(self, name: str, holder: str) -> None:
        """Tell the store; in vain only when the app is closed, and the lease has ended with its node."""

        @retry(on=StorageError, backoff=_STORE_TROUBLE, until=self._closing)
        async def drop() -> None:
            await self._store.drop_lease(name, holder)

        with suppress(ClosedError, StorageError):
            await drop()
        self._freed.set()
