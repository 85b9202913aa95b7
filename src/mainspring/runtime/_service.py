"""`Service`: one long-lived part of a program, started and stopped by `entrypoint`."""

import asyncio
import inspect
from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, TypeAlias, cast

from mainspring.base import Backoff
from mainspring.errors import MisuseError
from mainspring.runtime._context import Context, get_context

RestartPolicy: TypeAlias = Literal["never", "on-failure", "always"]

_ALWAYS_ASYNC = frozenset({"start", "stop"})


class StartEvent(asyncio.Event):
    """An event that tells the entrypoint at once, without a task that waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.on_set: Callable[[], None] | None = None

    def set(self) -> None:
        """Say that the service is ready."""
        super().set()
        if self.on_set is not None:
            self.on_set()


class ServiceMeta(ABCMeta):
    """Checks, when a class is made, that the methods in `__async_required__` are `async def`."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> "ServiceMeta":
        cls = super().__new__(mcs, name, bases, namespace, **options)
        asynchronous = _ALWAYS_ASYNC | frozenset(getattr(cls, "__async_required__", ()))
        type.__setattr__(cls, "__required__", frozenset(getattr(cls, "__required__", ())))
        type.__setattr__(cls, "__async_required__", asynchronous)
        plain = tuple(f"{name}.{method}" for method in sorted(asynchronous) if _is_plain(cls, method))
        if plain:
            error = TypeError("Following methods must be coroutine functions", plain)
            error.add_note(f"hint: write `async def` for {', '.join(plain)}")
            raise error
        if inspect.iscoroutinefunction(getattr(cls, "healthy", None)):
            problem = "is a coroutine function, which nobody awaits, so the service would always seem well"
            raise MisuseError(what=f"{name}.healthy", problem=problem, hint="write `def healthy`; it must not wait")
        return cls


def _is_plain(cls: type, method: str) -> bool:
    function = getattr(cls, method, None)
    return function is not None and not inspect.iscoroutinefunction(function)


class Service(metaclass=ServiceMeta):
    """One long-lived part of a program. Subclass it: write `start`, and `stop` if there is something to end.

    Either `start()` returns when the service runs and `stop()` ends it, or `start()` is the work itself: then
    it calls `self.start_event.set()` when it is ready and is cancelled when the program stops. Keyword
    arguments become attributes; names in `__required__` must be given. An attribute annotated with a
    resource (`db: Annotated[Pool, DB]`) is set before `start()` and left after `stop()`. A service pickles as
    its keyword arguments.

    Example:
        >>> class Greeter(Service):
        ...     name: str = "world"
        ...
        ...     async def start(self) -> None:
        ...         print(f"hello {self.name}")
    """

    __required__: ClassVar[Any] = ()  # Any: users write tuples, lists or sets; the metaclass freezes them
    __async_required__: ClassVar[Any] = ()

    requires: tuple["str | type[Service]", ...] = ()
    """Services (classes, or names of classes) that must be started before this one and stopped after it."""
    start_timeout: float | None = None
    """Seconds that `start()` may take until the service is started; None: no limit of its own."""
    restart: RestartPolicy = "never"
    """Whether `start()` is called again when it ends by itself, after the service was ready."""
    backoff: Backoff = Backoff(0.5, maximum=30.0, jitter="full")
    """How long to wait before each restart; when it gives up, the service has failed."""
    stop_timeout: float | None = None
    """Seconds that `stop()` may take; None: only the program's `shutdown_timeout` bounds it."""

    _loop: asyncio.AbstractEventLoop | None = None
    _start_event: StartEvent | None = None

    def __init__(self, **kwargs: Any) -> None:
        self._set_instance_params(**kwargs)

    def _set_instance_params(self, **kwargs: Any) -> None:
        missing = type(self).__required__ - kwargs.keys()
        if missing:
            error = AttributeError("Absent attributes", missing)
            wanted = ", ".join(f"{name}=..." for name in sorted(missing))
            error.add_note(f"hint: write {type(self).__qualname__}({wanted})")
            raise error
        self._restore(kwargs)

    def _restore(self, params: Mapping[str, Any]) -> None:
        object.__setattr__(self, "_instance_params", dict(params))
        for name, value in params.items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        params = self.__dict__.get("_instance_params")
        if params is not None and name in params:
            params[name] = value
        object.__setattr__(self, name, value)

    def __getstate__(self) -> dict[str, Any]:
        return dict(self.__dict__.get("_instance_params", {}))

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self._restore(state)

    def __repr__(self) -> str:
        return f"<{type(self).__qualname__} {'bound' if self._loop else 'idle'}>"

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the program.

        Raises:
            RuntimeError: the service was not started by an entrypoint yet.
        """
        if self._loop is None:
            raise RuntimeError("a service gets its loop when an entrypoint starts it")
        return self._loop

    @property
    def start_event(self) -> StartEvent:
        """Set it inside `start()` when the service is ready and `start()` goes on working.

        Raises:
            RuntimeError: the service was not started by an entrypoint yet.
        """
        if self._start_event is None:
            raise RuntimeError("a service gets its start event when an entrypoint starts it")
        return self._start_event

    @property
    def context(self) -> Context:
        """The context of the program, through which services leave values for one another."""
        return get_context(self.loop)

    @property
    def ready(self) -> bool:
        """Whether the service has said that it is started."""
        return self._start_event is not None and self._start_event.is_set()

    def healthy(self) -> bool:
        """Say whether the service works; called by `entrypoint.health()`, so it must not wait. Override it."""
        return True

    def set_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Bind the service to a loop, with a new start event; `entrypoint` does it before `start()`."""
        object.__setattr__(self, "_loop", loop)
        object.__setattr__(self, "_start_event", StartEvent())

    @abstractmethod
    async def start(self) -> Any:
        """Start the service, or be the service; what it returns is not used."""

    async def stop(self, exception: Any = None) -> Any:  # Any: seeds annotate it as they like
        """End the service gracefully; `exception` is why the program stops, None when it just ends."""


def given_params(service: Service) -> Mapping[str, Any]:
    """Return the keyword arguments that a service was made with."""
    return cast("Mapping[str, Any]", service.__dict__.get("_instance_params", {}))
