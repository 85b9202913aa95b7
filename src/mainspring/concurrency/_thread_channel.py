"""FromThreadChannel: a queue that threads fill and a coroutine empties."""

import asyncio
from collections.abc import Generator
from typing import Any, Generic, Self, TypeVar  # Any: the protocol of __await__

from mainspring.concurrency._thread_buffer import ThreadBuffer
from mainspring.errors import ChannelClosed, ChannelTimeout, InvalidArgumentError

T = TypeVar("T")


class FromThreadChannel(Generic[T]):
    """A bounded queue from threads to one loop; `with channel:` closes it at the end.

    `await channel` is `await channel.get()`.

    Args:
        maxsize: items that may wait; `put` blocks at the limit. 0 is unbounded.
        timeout: seconds that `put` may block; 0 is without limit.

    Raises:
        InvalidArgumentError: `maxsize` or `timeout` is below 0.

    Example:
        >>> async def main() -> list[int]:
        ...     channel = FromThreadChannel[int]()
        ...     def count() -> None:
        ...         with channel:
        ...             for n in range(3):
        ...                 channel.put(n)
        ...     await asyncio.to_thread(count)
        ...     return [await channel.get() for _ in range(3)]
        >>> asyncio.run(main())
        [0, 1, 2]
    """

    def __init__(self, maxsize: int = 1024, timeout: float = 0) -> None:
        if maxsize < 0:
            raise InvalidArgumentError(argument="maxsize", value=maxsize, expected="0 (unbounded) or more")
        if not timeout >= 0:
            raise InvalidArgumentError(argument="timeout", value=timeout, expected="seconds, 0 (no limit) or more")
        self._timeout = timeout
        self._buffer = ThreadBuffer[T](maxsize, low_water=maxsize - 1, is_outside_work=False)

    def __repr__(self) -> str:
        state = "closed" if self.is_closed else "open"
        return f"<FromThreadChannel {state} waiting={len(self._buffer.items)}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __await__(self) -> Generator[Any, None, T]:
        return self.get().__await__()

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be put any more; what waits can still be got."""
        return self._buffer.closed

    def close(self) -> None:
        """Refuse further items. Safe from any thread."""
        self._buffer.close()

    def put(self, item: T) -> None:
        """Add an item, in a thread; block while `maxsize` items wait.

        Raises:
            ChannelClosed: the channel was closed, before or while waiting.
            ChannelTimeout: there was no room for `timeout` seconds.
        """
        added = self._buffer.put(item, self._timeout or None)
        if added is None:
            raise ChannelTimeout(action="put", seconds=self._timeout)
        if not added:
            raise ChannelClosed

    async def get(self, timeout: float | None = None) -> T:
        """Wait for the oldest item and take it; at most `timeout` seconds.

        Raises:
            ChannelClosed: the channel is closed and empty.
            ChannelTimeout: nothing came in time.
        """
        buffer = self._buffer
        limit = asyncio.timeout(timeout)  # noqa: TID251  # resilience lies above
        try:
            async with limit:
                while True:
                    await buffer.bell.wait(lambda: buffer.items or buffer.closed)
                    is_closed = buffer.closed  # read first: what comes last comes before the end
                    if buffer.items:
                        return buffer.pop()
                    if is_closed:
                        raise ChannelClosed
        except TimeoutError as error:
            raise ChannelTimeout(action="get", seconds=timeout or 0.0) from error
