"""Which store an app uses: what it was given, the environment, its settings, or a file in the state directory."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.errors import InvalidArgumentError
from mainspring.jobs.engine._settings import DEFAULTS, AppSettings
from mainspring.jobs.stores import JobStore
from mainspring.tools import masked

if TYPE_CHECKING:
    from mainspring.jobs.stores import MemoryData

log = logging.getLogger(__name__)

_PREFIX = "sqlite:///"
_MEMORY = "memory"


def state_directory(settings: AppSettings) -> Path:
    """Return `MAINSPRING_STATE_DIR`, else what the settings say: `.mainspring` in the working directory."""
    return Path(os.environ.get("MAINSPRING_STATE_DIR") or settings.state_dir)


def make_store(
    store: JobStore | str | Path | None, *, memory: "MemoryData", settings: AppSettings = DEFAULTS
) -> JobStore:
    """Return the store that `store=` names; nothing is opened yet.

    Args:
        memory: what "memory" names.

    Raises:
        InvalidArgumentError: it is neither "memory" nor the address of a SQLite file.
    """
    named = store if store is not None else _named(settings) or _default_path(settings)
    if not isinstance(named, str | Path):
        return named
    if named == _MEMORY:
        from mainspring.jobs.stores import MemoryStore

        return MemoryStore(memory)
    from mainspring.jobs.stores import SqliteStore

    return SqliteStore(_path_of(named), durability=settings.durability)


def spool_folder(store: JobStore | str | Path | None, *, settings: AppSettings = DEFAULTS) -> Path:
    """Return where items wait that a sink did not take: beside the store's file, else in the state directory."""
    named = store if store is not None else _named(settings)
    if not isinstance(named, str | Path) or named == _MEMORY:
        return state_directory(settings) / "spool"
    path = _path_of(named)
    return path.with_name(f"{path.name}-spool")


def _named(settings: AppSettings) -> str | None:
    return os.environ.get("MAINSPRING_STORE") or settings.store


def _default_path(settings: AppSettings) -> Path:
    path = state_directory(settings) / "mainspring.db"
    log.info("jobs are kept in %s", path)
    return path


def _path_of(store: str | Path) -> Path:
    if isinstance(store, Path):
        return store
    if store.startswith(_PREFIX) and len(store) > len(_PREFIX):
        return Path(store.removeprefix(_PREFIX))
    raise InvalidArgumentError(
        argument="store",
        value=masked("store", store),
        expected='the address of a SQLite file, or "memory"',
        hint="write sqlite:///state.db (a relative path) or sqlite:////var/lib/app/state.db (an absolute one)",
    )
