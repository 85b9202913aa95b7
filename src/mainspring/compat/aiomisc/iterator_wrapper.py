"""`aiomisc.iterator_wrapper`: buffers are unbounded unless a size is given, as they were."""

import asyncio
import concurrent.futures
from collections.abc import Callable, Iterable
from typing import TypeVar

from mainspring.concurrency import ChannelClosed, ChannelTimeout
from mainspring.concurrency import FromThreadChannel as _FromThreadChannel
from mainspring.concurrency import IteratorWrapper as _IteratorWrapper
from mainspring.concurrency import IteratorWrapperSeparate as _IteratorWrapperSeparate

__all__ = ("ChannelClosed", "ChannelTimeout", "FromThreadChannel", "IteratorWrapper", "IteratorWrapperSeparate")

T = TypeVar("T")


class FromThreadChannel(_FromThreadChannel[T]):
    """As `mainspring.concurrency.FromThreadChannel`; without a size it is unbounded."""

    def __init__(self, maxsize: int = 0, timeout: float = 0) -> None:
        super().__init__(maxsize, timeout)


class IteratorWrapper(_IteratorWrapper[T]):
    """As `mainspring.concurrency.IteratorWrapper`; without a size it is unbounded."""

    def __init__(
        self,
        gen_func: Callable[[], Iterable[T]],
        loop: asyncio.AbstractEventLoop | None = None,
        max_size: int = 0,
        executor: concurrent.futures.Executor | None = None,
    ) -> None:
        super().__init__(gen_func, loop, max_size, executor)


class IteratorWrapperSeparate(_IteratorWrapperSeparate[T]):
    """As `mainspring.concurrency.IteratorWrapperSeparate`; without a size it is unbounded."""

    def __init__(
        self,
        gen_func: Callable[[], Iterable[T]],
        loop: asyncio.AbstractEventLoop | None = None,
        max_size: int = 0,
        executor: concurrent.futures.Executor | None = None,
    ) -> None:
        super().__init__(gen_func, loop, max_size, executor)
