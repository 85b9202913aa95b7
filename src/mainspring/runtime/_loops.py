"""Which event loop a program runs on, and how it is made and torn down."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from importlib.util import find_spec
from typing import Any, TypeAlias, TypeVar, cast

from mainspring.base import load_extra
from mainspring.concurrency import ThreadPoolExecutor
from mainspring.errors import MisuseError
from mainspring.runtime._settings import Settings

LoopFactory: TypeAlias = Callable[[], asyncio.AbstractEventLoop]
T = TypeVar("T")


class MainLoopMixin(asyncio.AbstractEventLoop):
    """Knows the task that `run_until_complete` waits for, so that a signal can cancel that one first."""

    main_task: "asyncio.Future[Any] | None" = None

    def run_until_complete(self, future: Generator[Any, None, T] | Awaitable[T]) -> T:
        """Run until the future is done; see asyncio."""
        before = self.main_task
        task = asyncio.ensure_future(cast("Awaitable[T]", future), loop=self)  # generators are the old form
        self.main_task = task
        try:
            # the loop's own, which stands beside this class among the bases
            return super().run_until_complete(task)  # pyright: ignore[reportAbstractUsage]
        finally:
            self.main_task = before


def note_main_task(loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """Let a loop that others have made know its main task, too; return what takes that back."""
    if isinstance(loop, MainLoopMixin):
        return _nothing
    foreign: Any = loop  # Any: two attributes are added to the object
    run = foreign.run_until_complete

    def run_until_complete(future: Awaitable[T]) -> T:
        before, task = foreign.main_task, asyncio.ensure_future(future, loop=loop)
        foreign.main_task = task
        try:
            result: T = run(task)
            return result
        finally:
            foreign.main_task = before

    def forget() -> None:
        del foreign.run_until_complete, foreign.main_task

    try:
        foreign.main_task = None
        foreign.run_until_complete = run_until_complete
    except AttributeError:  # a class that takes no attributes
        return _nothing
    return forget


def _nothing() -> None:
    pass


def default_loop_factory(*, use_uvloop: bool) -> LoopFactory:
    """Return what makes the loops of a program: uvloop's when it is installed and allowed, else asyncio's."""
    base: type[Any] = asyncio.SelectorEventLoop
    if use_uvloop and find_spec("uvloop"):
        base = load_extra("uvloop", feature="the fast event loop", extra="uvloop").Loop
    return type("MainLoop", (MainLoopMixin, base), {})


class OwnLoop:
    """The loop that an entrypoint makes, with our thread pool as its default executor, and closes."""

    def __init__(
        self,
        factory: LoopFactory | None,
        policy: Any,
        pool_size: int | None,
        debug: bool | None,
        settings: Settings,
        *,
        max_queue: int = 1024,
    ) -> None:
        if factory is None and policy is not None:
            factory = policy.new_event_loop
        self._factory = factory or default_loop_factory(use_uvloop=settings.use_uvloop)
        self._pool_size = settings.pool_size if pool_size is None else pool_size
        self._max_queue = max_queue
        self._debug = settings.debug if debug is None else debug
        self._pool: ThreadPoolExecutor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def pool(self) -> ThreadPoolExecutor:
        """The default executor of the loop.

        Raises:
            MisuseError: the loop is not open yet.
        """
        if self._pool is None:
            raise MisuseError(what="the event loop", problem="is not open yet")
        return self._pool

    def open(self) -> asyncio.AbstractEventLoop:
        """Make the loop and set it as the current one of this thread.

        Raises:
            MisuseError: a loop runs in this thread.
        """
        if asyncio._get_running_loop() is not None:
            hint = "inside of a coroutine, write `async with entrypoint(...)`"
            raise MisuseError(what="a new event loop", problem="cannot be made while one runs here", hint=hint)
        self._pool = ThreadPoolExecutor(self._pool_size, statistic_name="default", max_queue=self._max_queue)
        self._loop = loop = self._factory()
        loop.set_debug(self._debug)
        loop.set_default_executor(self._pool)
        asyncio.set_event_loop(loop)
        return loop

    def close(self, *, timeout: float) -> None:
        """End the pool, waiting at most `timeout` seconds for what runs in it, and close the loop."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True, timeout=timeout)
        if self._loop is not None:
            self._loop.close()
        asyncio.set_event_loop(None)


def new_event_loop(
    pool_size: int | None = None,
    policy: Any = None,  # Any: an event loop policy, a type that newer Pythons deprecate
    *,
    loop_factory: LoopFactory | None = None,
    debug: bool = False,
) -> asyncio.AbstractEventLoop:
    """Make an event loop with our thread pool as its default executor, and set it as the thread's current one.

    Args:
        pool_size: threads of the default executor at most; default: `MAINSPRING_POOL_SIZE`, else as many as
            processors, but 4 to 32.
        policy: makes the loop with its `new_event_loop()`; the older spelling of `loop_factory`.
        loop_factory: makes the loop; default: uvloop when it is installed and `MAINSPRING_USE_UVLOOP` does not
            say no, else asyncio's.

    Raises:
        MisuseError: a loop runs in this thread.
        InvalidArgumentError: the size is below 1, or a variable of the environment cannot be read.
    """
    return OwnLoop(loop_factory, policy, pool_size, debug, Settings.from_environment()).open()


async def cancel_rest(keep: "set[asyncio.Task[Any]]") -> None:
    """Cancel every other task of the running loop but those in `keep`, and wait until they have ended."""
    loop = asyncio.get_running_loop()
    rest = asyncio.all_tasks() - keep - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    if not rest:
        return
    await asyncio.wait(rest)
    for task in rest:
        if not task.cancelled() and (error := task.exception()):
            context = {"message": "a task failed while the program stopped", "exception": error, "task": task}
            loop.call_exception_handler(context)
