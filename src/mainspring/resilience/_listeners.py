"""Those who want to hear of changes of a breaker's state."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextvars import Context
from inspect import iscoroutine
from typing import Any  # Any: the results of listeners, unused

from mainspring.resilience._breaker_records import CircuitBreakerStates
from mainspring.resilience._checks import check_callable

log = logging.getLogger(__name__)


class Listeners:
    """Functions and coroutine functions; what they raise is logged, and never fails the call that they watch.

    A coroutine runs as a task of the running loop, which is kept here until it ends.
    """

    __slots__ = ("_all", "_tasks")

    def __init__(self) -> None:
        self._all: list[Callable[[CircuitBreakerStates, CircuitBreakerStates], object]] = []
        self._tasks: set[asyncio.Task[Any]] = set()

    def add(self, listener: Callable[[CircuitBreakerStates, CircuitBreakerStates], object]) -> None:
        """Call `listener` from now."""
        check_callable("listener", listener)
        self._all.append(listener)

    def tell(self, before: CircuitBreakerStates, after: CircuitBreakerStates) -> None:
        """Call all of them, those added first before the others."""
        for listener in tuple(self._all):
            try:
                told = listener(before, after)
                if iscoroutine(told):
                    self._start(told)
            except Exception:  # supervisor: a listener must not fail the call that it watches
                log.exception("a listener of a circuit breaker failed")

    def _start(self, told: Coroutine[Any, Any, object]) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            told.close()
            raise
        # In an empty context: it has no part in the deadline of the call that made the state change.
        task = loop.create_task(told, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a listener of a circuit breaker failed", exc_info=task.exception())
