"""The plugins that are installed."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mainspring.compat.aiomisc.entrypoint import PLUGIN_GROUPS
from mainspring.runtime import plugin_setups

if TYPE_CHECKING:
    plugins: Mapping[str, Callable[[], object]]

__all__ = ("plugins", "setup_plugins")


def setup_plugins() -> Mapping[str, Callable[[], object]]:
    """Return the `setup` functions of the installed plugins by name. An entrypoint calls them, not the import."""
    return plugin_setups(PLUGIN_GROUPS)


def __getattr__(name: str) -> object:
    """Look for plugins when they are asked for."""
    if name != "plugins":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return setup_plugins()
