"""Plugins: installed packages that connect to the signals of every program of a process."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Final

from mainspring.errors import InvalidArgumentError, MisuseError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

log: Final = logging.getLogger(__name__)

PLUGIN_GROUP: Final = "mainspring.plugins"
_loaded: set[str] = set()
_searched: set[tuple[str, frozenset[str] | None]] = set()


def installed_plugins(groups: Sequence[str] = (PLUGIN_GROUP,)) -> "dict[str, EntryPoint]":
    """Return the plugins that are installed, by name; of two with one name, that of the earlier group."""
    entry_points = import_module("importlib.metadata").entry_points  # not before it is needed: it reads the disk
    return {point.name: point for group in reversed(groups) for point in entry_points(group=group)}


def load_plugins(names: Collection[str] | None, *, groups: Sequence[str] = (PLUGIN_GROUP,)) -> None:
    """Import the plugins of the groups that were not loaded yet and call their `setup()`.

    A plugin that cannot be imported is logged and left out; one whose `setup()` fails is tried again the next time.

    Args:
        names: plugins to load; None loads all that are installed.
        groups: of entry points, in which to look.

    Raises:
        InvalidArgumentError: a plugin that was named is not installed.
        MisuseError: a plugin has no `setup()`.
        Exception: what a plugin's `setup()` raised.
    """
    key = "\n".join(groups), None if names is None else frozenset(names)
    if key in _searched or key[1] == frozenset():
        return
    found = installed_plugins(groups)
    for name in names or ():
        if name not in found:
            known = ", ".join(sorted(found)) or "none"
            raise InvalidArgumentError(argument="plugins", value=name, expected=f"one that is installed: {known}")
    for name, point in found.items():
        if names is None or name in names:
            _load(point)
    _searched.add(key)


def _load(point: "EntryPoint") -> None:
    key = f"{point.group}:{point.name}"
    if key in _loaded:
        return
    try:
        module = point.load()
    except ImportError:
        _loaded.add(key)
        log.exception("plugin %r cannot be imported and is left out", point.name)
        return
    setup = getattr(module, "setup", None)
    if not callable(setup):
        hint = f"write `def setup() -> None` in {point.value}"
        raise MisuseError(what=f"the plugin {point.name!r}", problem="has no setup()", hint=hint)
    label = f"{point.dist.name} {point.dist.version}" if point.dist else "no distribution"
    log.info("plugin %r of %s is set up", point.name, label)
    _loaded.add(key)  # before the call: a setup() that makes a program comes here again
    try:
        setup()
    except BaseException:
        _loaded.discard(key)
        _searched.clear()  # that program has noted its search
        raise


def plugin_setups(groups: Sequence[str] = (PLUGIN_GROUP,)) -> Mapping[str, Callable[[], object]]:
    """Return the `setup` functions of the installed plugins that can be imported, by name."""
    setups: dict[str, Callable[[], object]] = {}
    for name, point in sorted(installed_plugins(groups).items()):
        try:
            setups[name] = point.load().setup
        except (ImportError, AttributeError) as error:
            log.error("plugin %r cannot be used: %s", name, error)
    return setups
