"""Where async tests and fixtures run: one loop, one context, and a task for each living fixture."""

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import ExitStack
from typing import Any, Generic, TypeVar  # Any: of the coroutine's unused send and yield types

from mainspring.base import use_clock
from mainspring.testing._virtual_clock import VirtualClock

T = TypeVar("T")

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


class TestLoop:
    """A loop that runs coroutines one after another, all in the same context.

    Context variables that a fixture sets are therefore seen by the test. With a clock, the loop is the
    clock's, and the clock is the process's until `close()`.
    """

    __test__ = False

    def __init__(self, *, factory: LoopFactory | None = None, clock: VirtualClock | None = None) -> None:
        self.clock = clock
        self._context = contextvars.copy_context()
        self._block = ExitStack()
        if clock is not None:
            self._block.enter_context(use_clock(clock))
            factory = clock.new_loop
        self._runner = self._block.enter_context(asyncio.Runner(loop_factory=factory))

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop."""
        return self._runner.get_loop()

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        return self._runner.run(main, context=self._context)

    def start(self, generator: AsyncGenerator[T, None]) -> "LivingFixture[T]":
        """Run an async generator to its yield; its value is the fixture's."""
        fixture = LivingFixture(generator)
        self.run(fixture.start(self._context))
        return fixture

    def close(self) -> None:
        """Cancel what still runs, close the loop and give the process its clock back."""
        self._block.close()

    def settle_tasks(self) -> None:
        """Give tasks that are about to end the few rounds that they need."""
        self.run(_few_rounds())


class LivingFixture(Generic[T]):
    """An async generator that lives in one task from its first step to its last.

    So a task group, a timeout or a cancel scope may be open around its yield. When it fails while it waits
    there, the failure shows when it is stopped.
    """

    value: T

    def __init__(self, generator: AsyncGenerator[T, None]) -> None:
        self._generator = generator

    async def start(self, context: contextvars.Context) -> None:
        """Run to the yield and keep the value."""
        loop = asyncio.get_running_loop()
        self._started: asyncio.Future[None] = loop.create_future()
        self._finish = asyncio.Event()
        self._task = loop.create_task(self._live(), name=f"fixture {self._name}", context=context)
        await asyncio.wait({self._task, self._started}, return_when=asyncio.FIRST_COMPLETED)
        if not self._started.done():
            await self._task

    async def stop(self) -> None:
        """Run from the yield to the end."""
        self._finish.set()
        await self._task

    async def _live(self) -> None:
        try:
            self.value = await anext(self._generator)
        except StopAsyncIteration:
            raise RuntimeError(f"the fixture {self._name} did not yield") from None
        self._started.set_result(None)
        try:
            await self._finish.wait()
        except asyncio.CancelledError as cancelled:
            await self._generator.athrow(cancelled)
        async for _ in self._generator:
            await self._generator.aclose()
            raise RuntimeError(f"the fixture {self._name} yielded more than once")

    @property
    def _name(self) -> str:
        return str(getattr(self._generator, "__qualname__", self._generator))


async def _few_rounds() -> None:
    for _ in range(5):
        await asyncio.sleep(0)
