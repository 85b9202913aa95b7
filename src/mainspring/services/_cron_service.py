"""CronService: coroutine functions at the times of cron expressions."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any

from mainspring.base import CronExpression
from mainspring.concurrency import CronCallback
from mainspring.errors import MisuseError, NotCoroutineFunctionError
from mainspring.runtime import Service
from mainspring.services._running_calls import RunningCalls


@dataclass(frozen=True, slots=True)
class _Registered:
    function: Callable[[], Awaitable[object]]
    expression: CronExpression
    zone: tzinfo | None
    shield: bool
    suppress_exceptions: tuple[type[BaseException], ...]


class CronService(Service):
    """Calls coroutine functions at the times of cron expressions, on the wall clock of `zone`.

    A call that takes longer than the time to the next one makes that one fall out. Exceptions are logged. At the
    stop calls that run are awaited, up to `stop_timeout`, then cancelled.

    Attributes:
        zone: whose wall clock the expressions mean, unless `register` says otherwise.
        name: for messages.

    Example:
        >>> async def report() -> None: ...
        >>> service = CronService()
        >>> service.register(report, "0 * * * *")
        >>> service
        <CronService callbacks=1>
    """

    zone: tzinfo = UTC
    name: str | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._registered: list[_Registered] = []
        self._callbacks: list[CronCallback] = []
        self._calls = RunningCalls()

    def __repr__(self) -> str:
        return f"<{self.name or type(self).__qualname__} callbacks={len(self._registered)}>"

    def register(
        self,
        function: Callable[[], Awaitable[object]],
        spec: str | CronExpression,
        shield: bool = False,
        suppress_exceptions: tuple[type[BaseException], ...] = (),
        *,
        zone: tzinfo | None = None,
    ) -> None:
        """Call `function` at the times of `spec`; before the service starts.

        Args:
            function: a coroutine function without arguments.
            spec: the cron expression; a sixth field are seconds.
            shield: a call that still runs when the stop has no more time is not cancelled.
            suppress_exceptions: exceptions of the function that are not logged.
            zone: whose wall clock the expression means; None for the service's.

        Raises:
            NotCoroutineFunctionError: `function` is none.
            InvalidArgumentError: the expression cannot be read.
            MisuseError: the service has started.
        """
        if not inspect.iscoroutinefunction(function):
            raise NotCoroutineFunctionError(what="CronService.register", function=_label(function))
        if self._callbacks:
            raise MisuseError(what=repr(self), problem="has started", hint="register before super().start()")
        expression = CronExpression(spec) if isinstance(spec, str) else spec
        self._registered.append(_Registered(function, expression, zone, shield, tuple(suppress_exceptions)))

    async def start(self) -> None:
        """Begin to call, and return."""
        for one in self._registered:
            callback = CronCallback(self._calls.watch(one.function, shield=one.shield))
            callback.start(
                one.expression,
                self.loop,
                zone=one.zone or self.zone,
                shield=True,
                suppress_exceptions=one.suppress_exceptions,
            )
            self._callbacks.append(callback)

    async def stop(self, exception: Any = None) -> None:
        """Make no more calls, and wait for those that run."""
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            _ = callback.stop(return_exceptions=True)
        await self._calls.finish()


def _label(function: object) -> str:
    return str(getattr(function, "__qualname__", None) or repr(function))
