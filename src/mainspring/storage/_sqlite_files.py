"""Prepares the path of a SQLite file and opens connections to it."""

import os
import sqlite3
import stat
import sys
import threading
from pathlib import Path
from typing import Literal

from mainspring.base import make_private_folder
from mainspring.errors import InvalidArgumentError, StoreOpenError, StoreReadOnlyError
from mainspring.storage._sqlite_errors import store_error

Durability = Literal["memory", "process", "disk"]

MEMORY = ":memory:"
SYNCHRONOUS: dict[Durability, str] = {"memory": "OFF", "process": "NORMAL", "disk": "FULL"}
READER_WAIT_MS = 5000
WAL_KEEP_BYTES = 64 * 2**20
MINIMUM_VERSION = (3, 35)  # RETURNING

# POSIX locks and shared memory, on which WAL stands, do not work over these.
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "glusterfs", "lustre", "gpfs", "beegfs"}
    | {"ocfs2", "davfs", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.davfs"}
)
_MOUNTS = Path("/proc/self/mountinfo")

_making = threading.Lock()
os.register_at_fork(before=_making.acquire, after_in_parent=_making.release, after_in_child=_making.release)


def check_durability(durability: object) -> None:
    """Refuse a word that is no durability.

    Raises:
        InvalidArgumentError: it is none.
    """
    if durability not in SYNCHRONOUS:
        raise InvalidArgumentError(argument="durability", value=durability, expected="memory, process or disk")


def is_name(name: object) -> bool:
    """Tell whether a name can stand in that of a file, and leads to no other directory."""
    return isinstance(name, str) and Path(name).name == name and name not in ("", "..") and "\0" not in name


def has_file(path: Path) -> bool:
    """Tell whether there is a file that could be a database.

    Raises:
        StoreOpenError: it is a directory, or it cannot be looked at.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError as exc:
        hint = "let this user enter the directories that lead to it, or name a store elsewhere"
        raise StoreOpenError(store=str(path), reason=_reason_of(exc), hint=hint) from exc
    except OSError as exc:
        raise StoreOpenError(store=str(path), reason=_reason_of(exc)) from exc
    if stat.S_ISDIR(mode):
        raise StoreOpenError(store=str(path), reason="it is a directory", hint="name a file inside of it")
    return stat.S_ISREG(mode)


def prepare_path(path: Path) -> None:
    """Make the missing directories (0700) and the file (0600), and refuse places that cannot hold it.

    Raises:
        StoreOpenError: the path is a directory, something else than a file, or lies on a network.
        StoreReadOnlyError: a directory or the file may not be made.
    """
    if sqlite3.sqlite_version_info < MINIMUM_VERSION:
        reason = f"SQLite {sqlite3.sqlite_version} is too old, 3.35 is needed"
        raise StoreOpenError(store=str(path), reason=reason, hint="use a newer Python")
    try:
        if path.is_dir():
            raise StoreOpenError(store=str(path), reason="it is a directory", hint="name a file inside of it")
        make_private_folder(path.parent)
        kind = file_system(path.parent)
        if kind in _NETWORK:
            reason = f"it lies on a network file system ({kind}), where its locks do not hold"
            raise StoreOpenError(store=str(path), reason=reason, hint="use a local disk, or a server store")
        # invariant: only a file that did not exist is opened and closed here; closing any other would drop
        # the locks of a connection that this process may already have on it. So no other thread comes by meanwhile.
        with _making:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError as exc:
        if not path.is_file():
            raise StoreOpenError(store=str(path), reason=f"{exc.filename} is no file") from exc
    except NotADirectoryError as exc:
        raise StoreOpenError(store=str(path), reason=f"{exc.filename} is no directory") from exc
    except PermissionError as exc:
        raise StoreReadOnlyError(store=str(path)) from exc
    except OSError as exc:
        if isinstance(exc, StoreOpenError):
            raise
        raise StoreOpenError(store=str(path), reason=_reason_of(exc)) from exc


def _reason_of(error: OSError) -> str:
    return error.strerror or str(error)


def file_system(folder: Path, mounts: Path = _MOUNTS) -> str | None:
    """Return the kind of file system that holds `folder`, or None when the kernel does not tell."""
    if not sys.platform.startswith("linux"):
        return None
    device = os.stat(folder).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        fields, _, rest = line.partition(" - ")
        if fields.split()[2:3] == [wanted]:
            return rest.split()[0]
    return None


def connect(path: Path | str, *, durability: Durability = "disk", wait_ms: int = 0) -> sqlite3.Connection:
    """Open a writing connection in autocommit mode; the caller says BEGIN and COMMIT.

    Args:
        path: the file, prepared by `prepare_path`, or ":memory:".
        durability: what a commit survives: "memory" the process's own end, "process" its being killed,
            "disk" a power cut.
        wait_ms: how long SQLite itself waits for a lock; 0 when the caller repeats.
    """
    connection = _plain_connection(path, wait_ms)
    try:
        connection.execute(f"PRAGMA synchronous={SYNCHRONOUS[durability]}")
        connection.execute(f"PRAGMA journal_size_limit={WAL_KEEP_BYTES}")
        connection.execute("PRAGMA temp_store=MEMORY")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path | str) -> sqlite3.Connection:
    """Open a connection that can only read."""
    connection = _plain_connection(path, READER_WAIT_MS)
    try:
        connection.execute("PRAGMA query_only=ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _plain_connection(path: Path | str, wait_ms: int) -> sqlite3.Connection:
    try:
        return sqlite3.connect(
            path, timeout=wait_ms / 1000, isolation_level=None, check_same_thread=False, cached_statements=256
        )
    except sqlite3.Error as exc:
        mapped = store_error(exc, str(path))
        if mapped is None:
            raise
        raise mapped from exc
