"""`aiomisc.entrypoint`: ours, which also reads `AIOMISC_*` and loads the plugins of aiomisc."""

from collections.abc import Awaitable, Sequence
from contextlib import ExitStack, suppress
from contextvars import Token
from typing import Any, Final, TypeVar

from mainspring.compat.aiomisc._environment import variable_names
from mainspring.compat.aiomisc.context_vars import CURRENT_ENTRYPOINT, EVENT_LOOP, StrictContextVar
from mainspring.compat.aiomisc_dependency import fill_dependencies
from mainspring.runtime import Entrypoint as _Entrypoint
from mainspring.runtime import Service, get_context, run_in

__all__ = ("PLUGIN_GROUPS", "Entrypoint", "entrypoint", "get_context", "run")

PLUGIN_GROUPS: Final = ("aiomisc", "aiomisc.plugins", "mainspring.plugins")
T = TypeVar("T")


class Entrypoint(_Entrypoint):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]  # final for users
    """As `mainspring.entrypoint`; options that are None come from `AIOMISC_*` first.

    Services get what their `__dependencies__` name; see `aiomisc_dependency`. `CURRENT_ENTRYPOINT` and `EVENT_LOOP`
    are set from the start to the end.
    """

    _plugin_groups = PLUGIN_GROUPS
    _pool_queue = 0  # unbounded

    def __init__(self, *services: Service, **kwargs: Any) -> None:
        super().__init__(*services, **kwargs)
        self.pre_start.connect(fill_dependencies)
        self._variables_set = ExitStack()

    def _watch(self, main: Any) -> None:  # Any: the task that is watched, which is not looked at
        self._variables_set.callback(_put_back, EVENT_LOOP, EVENT_LOOP.set(self.loop))
        self._variables_set.callback(_put_back, CURRENT_ENTRYPOINT, CURRENT_ENTRYPOINT.set(self))
        super()._watch(main)

    def _close(self) -> None:
        self._variables_set.close()
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
