"""DaskExecutor: functions on a Dask cluster, awaited as those of a WorkerPool."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, ParamSpec, Self, TypeVar  # Any: objects of Dask, which comes without types
from urllib.parse import urlsplit

from mainspring.base import is_loopback, load_extra, outside_work
from mainspring.concurrency._room_line import RoomLine
from mainspring.errors import InvalidArgumentError, MisuseError, UnsafeAddressError, WorkQueueFullError

P = ParamSpec("P")
T = TypeVar("T")


class DaskExecutor:
    """Calls functions on a Dask cluster; `submit()` and `create_task()` are those of `WorkerPool`.

    Dask pickles with cloudpickle, so lambdas and closures travel. Cancelling a future takes back a task that has
    not begun; one that runs goes on, and its result is dropped. Needs the extra `dask`. Use it from one loop.

    Args:
        address: of the scheduler, as `tls://host:8786`, or a cluster object of Dask, whose address is checked, too.
        security: a `distributed.Security` for `tls://`.
        insecure: accept an unencrypted address that is not on this machine. Dask runs pickles from whoever
            connects, so its port is a shell for everybody who reaches it.
        timeout: seconds that the connection may take.
        max_unfinished: tasks that may be on the cluster; then `create_task()` waits for room, and `submit()`, which
            never waits, raises WorkQueueFullError. 0 is unbounded.

    Raises:
        UnsafeAddressError: the address is not encrypted, not on this machine, and not accepted as `insecure`.
        InvalidArgumentError: there is no address, or `max_unfinished` is below 0.
    """

    def __init__(
        self,
        address: Any,
        *,
        security: Any = None,
        insecure: bool = False,
        timeout: float = 30.0,
        max_unfinished: int = 4096,
    ) -> None:
        if max_unfinished < 0:
            raise InvalidArgumentError(argument="max_unfinished", value=max_unfinished, expected="0 or more")
        if address is None:
            raise InvalidArgumentError(argument="address", value=address, expected="an address or a cluster")
        known = address if isinstance(address, str) else getattr(address, "scheduler_address", None)
        if isinstance(known, str) and "<" not in known:  # a cluster that was not started says <Not Connected>
            _check_address(known, insecure)
        self._insecure = insecure
        self._address: Any = address
        self._security = security
        self._timeout = timeout
        self._client: Any = None
        self._stack = AsyncExitStack()
        self._waiting: set[asyncio.Task[None]] = set()
        self._max_unfinished = max_unfinished
        self._line = RoomLine(self._has_room)

    def __repr__(self) -> str:
        state = "closed" if self._client is None else "open"
        return f"<DaskExecutor {state} {self._address!r} waiting={len(self._waiting)}>"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    @asynccontextmanager
    async def __resource__(self) -> AsyncGenerator[Self]:
        """Serve a program as a resource that was given directly: connected by it, unless it is."""
        if self._client is not None:
            yield self
            return
        async with self:
            yield self

    async def start(self) -> None:
        """Connect to the scheduler.

        Raises:
            MissingExtraError: Dask is not installed.
            UnsafeAddressError: the cluster, now that it has an address, is on another machine and not encrypted.
            OSError: the scheduler does not answer.
        """
        distributed = load_extra("distributed", feature="DaskExecutor", extra="dask")
        if getattr(self._address, "asynchronous", False):
            await self._address  # only a cluster that was started has an address
        if isinstance(address := getattr(self._address, "scheduler_address", None), str):
            _check_address(address, self._insecure)
        client = distributed.Client(
            self._address, asynchronous=True, security=self._security, timeout=self._timeout, set_as_default=False
        )
        self._client = await self._stack.enter_async_context(client)

    async def close(self) -> None:
        """Cancel what is not done and disconnect; the cluster stays."""
        self._client = None
        self._line.move()
        waiting = set(self._waiting)
        for task in waiting:
            task.cancel()
        if waiting:
            await asyncio.wait(waiting)
        await self._stack.aclose()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[T]":
        """Call `fn` on the cluster; return the future of its result. Never waits.

        Raises:
            InvalidArgumentError: `fn` is not callable.
            MisuseError: it is not open.
            WorkQueueFullError: `max_unfinished` tasks are on the cluster already, or others wait for room.
        """
        if not self._line.is_free:  # a place may be promised to who waits
            raise WorkQueueFullError(
                what="the DaskExecutor", limit=self._max_unfinished, hint="use create_task(), which waits for room"
            )
        return self._add(fn, args, kwargs)

    async def create_task(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `fn` on the cluster and wait for its result, before that for room among `max_unfinished`.

        Raises:
            MisuseError: it is not open, or was closed meanwhile.
            Exception: what the function raised.
        """
        if not self._line.is_free:
            await self._line.wait()
        try:
            future = self._add(fn, args, kwargs)
        finally:
            self._line.move()  # there may still be room, as when the call was refused
        return await future

    def _add(self, fn: Callable[..., T], args: tuple[object, ...], kwargs: dict[str, Any]) -> "asyncio.Future[T]":
        if self._client is None:
            raise MisuseError(what="a DaskExecutor", problem="is not open", hint="use `async with`, or await start()")
        if not callable(fn):
            raise InvalidArgumentError(argument="fn", value=fn, expected="a callable")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        remote = self._client.submit(fn, *args, pure=False, **kwargs)
        waiter = loop.create_task(self._wait(remote, future))
        self._waiting.add(waiter)
        waiter.add_done_callback(self._ended)
        waiter.add_done_callback(lambda _: future.cancel())  # it may have been cancelled before its first step
        future.add_done_callback(lambda done: waiter.cancel() if done.cancelled() else None)
        return future

    def _has_room(self, called: int) -> bool:
        return not 0 < self._max_unfinished <= len(self._waiting) + called or self._client is None

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._waiting.discard(task)
        self._line.move()

    async def _wait(self, remote: Any, future: "asyncio.Future[Any]") -> None:
        outside_work.count += 1
        try:
            result = await remote
        except asyncio.CancelledError:
            future.cancel()
            await remote.cancel(force=True)
            raise
        except Exception as error:  # noqa: BLE001  # supervisor: the caller gets it
            if not future.done():
                future.set_exception(error)
        else:
            if not future.done():
                future.set_result(result)
        finally:
            outside_work.count -= 1


def _check_address(address: str, insecure: bool) -> None:
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    if insecure or parts.scheme in ("tls", "wss", "inproc"):
        return
    if not is_loopback(parts.hostname or ""):
        raise UnsafeAddressError(address=address)
