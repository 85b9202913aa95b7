"""`aiomisc.entrypoint`: ours, which also reads `AIOMISC_*` and loads the plugins of aiomisc."""

from collections.abc import Awaitable, Sequence
from typing import Any, Final, TypeVar

from mainspring.compat.aiomisc._environment import variable_names
from mainspring.compat.aiomisc_dependency import fill_dependencies
from mainspring.runtime import Entrypoint as _Entrypoint
from mainspring.runtime import Service, get_context, run_in

__all__ = ("PLUGIN_GROUPS", "Entrypoint", "entrypoint", "get_context", "run")

PLUGIN_GROUPS: Final = ("aiomisc", "aiomisc.plugins", "mainspring.plugins")
T = TypeVar("T")


class Entrypoint(_Entrypoint):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]  # final for users
    """As `mainspring.entrypoint`; options that are None come from `AIOMISC_*` first.

    Services get what their `__dependencies__` name; see `aiomisc_dependency`.
    """

    _plugin_groups = PLUGIN_GROUPS
    _pool_queue = 0  # unbounded

    def __init__(self, *services: Service, **kwargs: Any) -> None:
        super().__init__(*services, **kwargs)
        self.pre_start.connect(fill_dependencies)

    @staticmethod
    def _variables(setting: str) -> Sequence[str]:
        return variable_names(setting)


entrypoint = Entrypoint


def run(coro: Awaitable[T], /, *services: Service, **kwargs: Any) -> T:  # Any: the options of entrypoint
    """Start the services, run `coro` to its end, stop the services, and return its result; see `mainspring.run`."""
    return run_in(lambda: Entrypoint(*services, **kwargs), coro)
