"""Plugins: installed packages that connect to the signals of every program of a process."""

import logging
from collections.abc import Collection
from typing import Final

log: Final = logging.getLogger(__name__)

GROUP: Final = "mainspring.plugins"
_loaded: set[str] = set()
_searched: set[tuple[str, frozenset[str] | None]] = set()


def load_plugins(names: Collection[str] | None, *, group: str = GROUP) -> None:
    """Import the plugins of a group that were not loaded yet and call their `setup()`.

    A plugin that cannot be imported is logged and left out.

    Args:
        names: entry points to load; None loads all that are installed.

    Raises:
        Exception: what a plugin's `setup()` raised.
    """
    search = group, None if names is None else frozenset(names)
    if search in _searched or search[1] == frozenset():
        return
    _searched.add(search)
    from importlib.metadata import entry_points  # not before the first program starts: it reads the disk

    for point in entry_points(group=group):
        key = f"{group}:{point.name}"
        if key in _loaded or (names is not None and point.name not in names):
            continue
        _loaded.add(key)
        try:
            module = point.load()
        except ImportError:
            log.exception("plugin %r cannot be imported and is left out", point.name)
            continue
        label = f"{point.dist.name} {point.dist.version}" if point.dist else "no distribution"
        log.info("plugin %r of %s is set up", point.name, label)
        module.setup()
