"""`aiomisc.entrypoint`: ours, which also reads `AIOMISC_*` and loads the plugins of aiomisc."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import ExitStack, suppress
from contextvars import Token
from typing import Any, TypeVar

from mainspring.compat.aiomisc._current_loop import CurrentLoop
from mainspring.compat.aiomisc._environment import PLUGIN_GROUPS, variable_names
from mainspring.compat.aiomisc.context_vars import CURRENT_ENTRYPOINT, EVENT_LOOP, StrictContextVar
from mainspring.compat.aiomisc_dependency import fill_dependencies
from mainspring.compat.aiomisc_log._config import note_settings
from mainspring.runtime import Entrypoint as _Entrypoint
from mainspring.runtime import Service, get_context, run_in

__all__ = ("Entrypoint", "entrypoint", "get_context", "run")

T = TypeVar("T")


class Entrypoint(_Entrypoint):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]  # final for users
    """As `mainspring.entrypoint`; options that are None come from `AIOMISC_*` first.

    Services get what their `__dependencies__` name; see `aiomisc_dependency`. `CURRENT_ENTRYPOINT` and `EVENT_LOOP`
    are set from the start to the end, `LOG_LEVEL` and `LOG_FORMAT` from here on. After a program that made its loop,
    `asyncio.get_event_loop()` returns the loop that was set before, or makes one.
    """

    _plugin_groups = PLUGIN_GROUPS
    _pool_queue = 0  # unbounded

    def __init__(self, *services: Service, **kwargs: Any) -> None:
        super().__init__(*services, **kwargs)
        self.pre_start.connect(fill_dependencies)
        self._at_end = ExitStack()
        if self.logging.enabled:
            note_settings(self.logging.settings.level, self.logging.settings.log_format)

    def _open(self) -> None:
        super()._open()
        if self._own_loop is not None and asyncio._get_running_loop() is None:
            self._at_end.callback(CurrentLoop.remember().put_back)

    def _watch(self, main: Any) -> None:  # Any: the task that is watched, which is not looked at
        self._at_end.callback(_put_back, EVENT_LOOP, EVENT_LOOP.set(self.loop))
        self._at_end.callback(_put_back, CURRENT_ENTRYPOINT, CURRENT_ENTRYPOINT.set(self))
        super()._watch(main)

    def _close(self) -> None:
        self._at_end.close()
        super()._close()

    @staticmethod
    def _variables(setting: str) -> Sequence[str]:
        return variable_names(setting)


entrypoint = Entrypoint


def _put_back(variable: StrictContextVar[T], token: Token[T]) -> None:
    with suppress(ValueError):  # left in another context than it was entered in, where nothing was set
        variable.reset(token)


def run(coro: Awaitable[T], /, *services: Service, **kwargs: Any) -> T:  # Any: the options of entrypoint
    """Start the services, run `coro` to its end, stop the services, and return its result; see `mainspring.run`."""
    return run_in(lambda: Entrypoint(*services, **kwargs), coro)
