"""The plugins that are installed."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from mainspring.compat.aiomisc._environment import PLUGIN_GROUPS
from mainspring.runtime import plugin_setups

__all__ = ("plugins", "setup_plugins")


def setup_plugins() -> Mapping[str, Callable[[], object]]:
    """Return the `setup` functions of the installed plugins by name. An entrypoint calls them, not the import."""
    return plugin_setups(PLUGIN_GROUPS)


class _Installed(Mapping[str, Callable[[], object]]):
    """`setup_plugins()`, asked when the mapping is first looked at: that reads the disk."""

    _found: Mapping[str, Callable[[], object]] | None = None

    def _setups(self) -> Mapping[str, Callable[[], object]]:
        if self._found is None:
            self._found = setup_plugins()
        return self._found

    def __getitem__(self, name: str) -> Callable[[], object]:
        return self._setups()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._setups())

    def __len__(self) -> int:
        return len(self._setups())

    def __repr__(self) -> str:
        return f"<plugins {self._found if self._found is None else dict(self._found)}>"


plugins: Final[Mapping[str, Callable[[], object]]] = _Installed()
