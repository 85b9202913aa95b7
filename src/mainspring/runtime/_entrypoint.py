"""`entrypoint`: starts the services of a program, runs it, and stops them, whatever happens."""

import asyncio
import logging
import signal
import threading
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from types import MappingProxyType, TracebackType
from typing import Any, ClassVar, Final, Self, final

from mainspring.errors import ClosedError, InvalidArgumentError, MisuseError, NoEntrypointError
from mainspring.runtime._collector import Collector
from mainspring.runtime._container import ResourceContainer
from mainspring.runtime._context import Context
from mainspring.runtime._exit import Errors, Exit, Steps
from mainspring.runtime._health import HealthReport, health_of
from mainspring.runtime._log_buffer import DropPolicy
from mainspring.runtime._log_program import LogSettings, ProgramLogging
from mainspring.runtime._loops import LoopFactory, OwnLoop, cancel_rest
from mainspring.runtime._plugins import PLUGIN_GROUP, load_plugins
from mainspring.runtime._resource import Provider
from mainspring.runtime._service import Service
from mainspring.runtime._services import ServiceGroup, raise_together
from mainspring.runtime._settings import Settings, variable_names
from mainspring.runtime._signal import Signal

log: Final = logging.getLogger(__name__)

_CATCHABLE: Final = frozenset(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}
_NO_RESOURCES: Final[Mapping[str, Provider]] = MappingProxyType({})
_current: ContextVar["Entrypoint | None"] = ContextVar("mainspring_entrypoint", default=None)


@final
class Entrypoint:
    """Starts services side by side, gives control to the block when all are ready, and stops them after it.

    `with entrypoint(...) as loop` makes an event loop and closes it; `async with entrypoint(...) as ep` uses the
    running one. When a service fails to start, the others are stopped and the error is raised. SIGINT and
    SIGTERM cancel the main task, stop everything and end the process with 128 + the signal's number; a
    second signal ends it at once. Options that are None come from the environment (`MAINSPRING_LOG_LEVEL`,
    ...), read here.

    Args:
        loop: an open loop to use; it is left open.
        pool_size: threads of the loop's default executor.
        log_level, log_format, log_date_format, log_handlers: see `basic_config`.
        log_buffering, log_buffer_size, log_flush_interval, log_policy: whether records are written by a
            thread of their own, how many may wait, for how many seconds they are gathered, and what a full
            buffer does: "drop-oldest", "drop-debug" or "block" (see `BufferedHandler`).
        log_config: whether to configure logging at all.
        loop_factory: makes the loop; default: uvloop if it is installed and `MAINSPRING_USE_UVLOOP` allows it.
        policy: makes the loop instead, with its `new_event_loop()`; the older spelling.
        catch_signals: default: SIGINT and SIGTERM when constructed in the main thread, else none.
        shutdown_timeout: seconds that stopping may take as a whole, whatever the reason; then what still
            runs is abandoned.
        plugins: names of plugins to load; default: all that are installed.
        resources: what services and jobs may ask for by name, beside what their annotations name.
        gc_threshold: objects made and not freed before the garbage collector searches them for circles, while the
            program runs; what lives once its services have started is left out of all searches. By default, and
            with 0, the collector is left alone.

    Raises:
        InvalidArgumentError: an argument or a variable of the environment cannot be used.

    Example:
        >>> class Greeter(Service):
        ...     async def start(self) -> None:
        ...         print("hello")
        >>> with Entrypoint(Greeter(), log_config=False) as loop:
        ...     pass
        hello
    """

    PRE_START: ClassVar[Signal] = Signal()
    POST_START: ClassVar[Signal] = Signal()
    PRE_STOP: ClassVar[Signal] = Signal()
    POST_STOP: ClassVar[Signal] = Signal()
    RELOAD: ClassVar[Signal] = Signal()

    # These three `compat` says otherwise, for programs that move from another library.
    _plugin_groups: ClassVar[Sequence[str]] = (PLUGIN_GROUP,)
    _pool_queue: ClassVar[int] = 1024

    @staticmethod
    def _variables(setting: str) -> Sequence[str]:
        return variable_names(setting)

    def __init__(
        self,
        *services: Service,
        loop: asyncio.AbstractEventLoop | None = None,
        pool_size: int | None = None,
        log_level: int | str | None = None,
        log_format: int | str | None = None,
        log_buffering: bool | None = None,
        log_buffer_size: int | None = None,
        log_date_format: str | None = None,
        log_flush_interval: float | None = None,
        log_config: bool | None = None,
        log_handlers: Sequence[logging.Handler] = (),
        log_policy: DropPolicy = "drop-oldest",
        loop_factory: LoopFactory | None = None,
        policy: Any = None,  # Any: an event loop policy, a type that newer Pythons deprecate
        debug: bool | None = None,
        catch_signals: Sequence[int] | None = None,
        shutdown_timeout: float | None = None,
        plugins: Sequence[str] | None = None,
        resources: Mapping[str, Provider] = _NO_RESOURCES,
        gc_threshold: int | None = None,
    ) -> None:
        settings = Settings.from_environment(names=self._variables)
        self._initial = _each_once(services)
        timeout = settings.shutdown_timeout if shutdown_timeout is None else shutdown_timeout
        if not timeout > 0:
            raise InvalidArgumentError(argument="shutdown_timeout", value=timeout, expected="more than 0 seconds")
        self._collector = Collector(settings.gc_threshold if gc_threshold is None else gc_threshold)
        own = None if loop else OwnLoop(loop_factory, policy, pool_size, debug, settings, max_queue=self._pool_queue)
        self._own_loop = own
        self._loop = loop
        self.logging = ProgramLogging(
            LogSettings(
                level=settings.log_level if log_level is None else log_level,
                log_format=settings.log_format if log_format is None else log_format,
                date_format=settings.log_date_format if log_date_format is None else log_date_format,
                buffered=settings.log_buffering if log_buffering is None else log_buffering,
                buffer_size=settings.log_buffer_size if log_buffer_size is None else log_buffer_size,
                flush_interval=settings.log_flush if log_flush_interval is None else log_flush_interval,
                handlers=tuple(log_handlers),
                policy=log_policy,
            ),
            enabled=settings.log_config if log_config is None else log_config,
        )
        self.logging.configure(buffered=False)
        if not settings.no_plugins:
            load_plugins(settings.plugins if plugins is None else plugins, groups=self._plugin_groups)
        self.resources = ResourceContainer(resources)
        self.exit = Exit(timeout, _signals(catch_signals), remaining=self._remaining_names)
        self.group = ServiceGroup(self.resources, self.exit)
        self._state = "new"
        self._context: Context | None = None
        self._outer: Entrypoint | None = None
        self._reloading: asyncio.Task[None] | None = None
        self.pre_start = self.PRE_START.copy()
        self.post_start = self.POST_START.copy()
        self.pre_stop = self.PRE_STOP.copy()
        self.post_stop = self.POST_STOP.copy()
        self.reload = self.RELOAD.copy()

    @classmethod
    def get_current(cls) -> "Entrypoint":
        """Return the entrypoint around the caller.

        Raises:
            NoEntrypointError: none is there, or it has ended.
        """
        found = _current.get()
        while found is not None and found._state == "closed":
            found = found._outer
        if found is None:
            raise NoEntrypointError
        return found

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the program.

        Raises:
            MisuseError: the program has not started.
        """
        if self._loop is None:
            raise MisuseError(what="the entrypoint", problem="has no loop before it is entered")
        return self._loop

    @property
    def ctx(self) -> Context:
        """The context through which services leave values for one another.

        Raises:
            MisuseError: the program has not started.
        """
        if self._context is None:
            raise MisuseError(what="the entrypoint", problem="has no context before it is entered")
        return self._context

    @property
    def services(self) -> tuple[Service, ...]:
        """The services that are started or being started."""
        return tuple(one.service for one in self.group.hosted)

    def health(self) -> HealthReport:
        """Ask every service how it is; never waits."""
        return health_of(self.group.hosted, closing=self.exit.closing.is_set())

    async def closing(self) -> None:
        """Wait until the program begins to stop."""
        await self.exit.closing.wait()

    async def start_services(self, *services: Service) -> None:
        """Start more services; return when all are ready. When one fails, these are stopped again.

        Raises:
            MisuseError: the program has not started, or a service runs already.
            InvalidArgumentError: something else than a service is given.
            ClosedError: the program is stopping, or these services were stopped before they had started.
            Exception: what a `start()` raised; an ExceptionGroup when several failed.
        """
        if self.exit.closing.is_set():
            raise ClosedError(what="this program")
        _ = self.ctx
        services = _each_once(services)
        await self.pre_start.call(entrypoint=self, services=services)
        running = {id(one) for one in self.services}
        try:
            for one in await self.group.start(services):
                if one.started.cancelled():
                    raise ClosedError(what=f"the service {one.name}")
        except BaseException as error:
            await self.group.stop([one for one in services if id(one) not in running], error)
            raise
        finally:
            await self.post_start.call(entrypoint=self, services=services)

    async def stop_services(self, *services: Service, exc: BaseException | None = None) -> None:
        """Stop some services, each to its end.

        Raises:
            Exception: what a `stop()` raised; an ExceptionGroup when several failed.
        """
        steps = self.exit.steps()
        await self._stop(steps, services, exc)
        raise_together("services failed to stop", steps.end())

    def __enter__(self) -> asyncio.AbstractEventLoop:
        self._open()
        if self._own_loop is not None:
            self._loop = self._own_loop.open()
        loop = self.loop
        asyncio.set_event_loop(loop)
        try:
            self._watch(None)
            loop.run_until_complete(self._start())
            self.exit.check()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return loop

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        errors: Errors = []
        self.exit.begin()  # before the loop runs again: a signal that still waits there must not cut off the stopping
        try:
            errors = self.loop.run_until_complete(self._shutdown(error, owner=self._own_loop is not None))
        finally:
            if self._own_loop is not None:
                self._own_loop.close(timeout=self.exit.seconds_left)
            self._close()
        self.exit.conclude(error, errors)

    async def __aenter__(self) -> Self:
        self._open()
        self._loop = asyncio.get_running_loop()
        try:
            self._watch(asyncio.current_task())
            await self._start()
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        errors: Errors = []
        try:
            errors = await self._shutdown(error, owner=False)
        finally:
            self._close()
        self.exit.conclude(error, errors)

    def _open(self) -> None:
        if self._state != "new":
            raise MisuseError(what="an entrypoint", problem="is entered once", hint="make another one")
        self._state = "open"
        self._outer = _current.get()
        if self._outer is not None and self._outer._state == "closed":
            self._outer = self._outer._outer
        _current.set(self)

    async def _start(self) -> None:
        loop = self.loop
        self.logging.configure(buffered=True)
        self.logging.watch(loop)
        self.resources.adopt_context()
        self._context = Context(loop)
        for one in (self.pre_start, self.post_start, self.pre_stop, self.post_stop, self.reload):
            one.freeze()
        await self.pre_start.call(entrypoint=self, services=self._initial)
        try:
            await self.group.start(self._initial)
        finally:
            await self.post_start.call(entrypoint=self, services=self._initial)
        self._collector.relax()

    def _watch(self, main: "asyncio.Task[Any] | None") -> None:
        if len(self.reload) and self.exit.os_signals.wanted:
            self.exit.os_signals.also(signal.SIGHUP, self._on_reload)
        self.exit.watch(self.loop, main)

    async def _shutdown(self, error: BaseException | None, *, owner: bool) -> Errors:
        return await self.exit.within_time(self._stop_all(error, asyncio.current_task() if owner else None))

    async def _stop(self, steps: Steps, services: Sequence[Service], error: BaseException | None) -> None:
        await steps.do(self.pre_stop.call(entrypoint=self, services=services))
        await steps.do(self.group.stop(services, error))
        await steps.do(self.post_stop.call(entrypoint=self, services=services))

    async def _stop_all(self, error: BaseException | None, owner: "asyncio.Task[Any] | None") -> Errors:
        """Stop services, then (only on a loop of our own) all other tasks, then what they shared."""
        steps = self.exit.steps()
        await self._stop(steps, self.services, self.exit.reason or error)
        if self._reloading is not None:
            self._reloading.cancel()
        if owner is not None:
            await steps.do(cancel_rest(keep={owner, *self.resources.tasks()}))
        await steps.do(self.resources.close())
        if owner is not None:
            await steps.do(self.loop.shutdown_asyncgens())
        return steps.end()

    def _close(self) -> None:
        if self._context is not None:
            self._context.close()
        self.exit.release()
        self._collector.restore()
        self._state = "closed"
        if _current.get() is self:
            _current.set(self._outer)
        self.logging.reset()

    def _on_reload(self) -> None:
        self.loop.call_soon_threadsafe(self._begin_reload)

    def _begin_reload(self) -> None:
        if self._reloading is None or self._reloading.done():
            self._reloading = self.loop.create_task(self._reload(), name="reload")

    async def _reload(self) -> None:
        steps = self.exit.steps()
        await steps.do(self.reload.call(entrypoint=self))
        for error in steps.end():
            log.error("reload failed", exc_info=error)

    def _remaining_names(self) -> list[str]:
        return [one.name for one in self.group.hosted]

    def __repr__(self) -> str:
        return f"<Entrypoint {self._state} services={len(self.group.hosted)}>"


entrypoint = Entrypoint
"""The name under which programs use it."""


def _each_once(services: Sequence[Service]) -> tuple[Service, ...]:
    for one in services:
        if not isinstance(one, Service):  # pyright: ignore[reportUnnecessaryIsInstance]  # classes get here
            raise InvalidArgumentError(
                argument="services", value=one, expected="instances of Service", hint=_hint_for(one)
            )
    return tuple({id(one): one for one in services}.values())


def _hint_for(given: object) -> str | None:
    return f"make one: {given.__name__}(...)" if isinstance(given, type) and issubclass(given, Service) else None


def _signals(wanted: Sequence[int] | None) -> Sequence[int]:
    if wanted is not None:
        for number in wanted:
            if number not in _CATCHABLE:
                expected = "signals that can be caught"
                raise InvalidArgumentError(argument="catch_signals", value=number, expected=expected)
        return wanted
    in_main = threading.current_thread() is threading.main_thread()
    return (signal.SIGINT, signal.SIGTERM) if in_main else ()
