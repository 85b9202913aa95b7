"""Errors of floor 4: transport, storage, tools."""

from mainspring.errors._root import MainspringError


class ConfigError(MainspringError, ValueError):
    """The configuration cannot be read, contradicts itself, or does not fit what the program wants.

    Attributes:
        source: where, as `config.toml:3` or `the environment variable APP__PORT`.
        key: the dotted key; empty when it is about the whole place.
        reason: what is wrong.
    """

    source: str
    key: str
    reason: str

    def __init__(self, *, source: str, reason: str, key: str = "", hint: str | None = None) -> None:
        about = f"{key}: " if key else ""
        super().__init__(f"{source}: {about}{reason}", hint=hint, source=source, key=key, reason=reason)


class CommandLineError(MainspringError, ValueError):
    """The words after a command do not fit its arguments."""

    reason: str

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason, reason=reason)


class StorageError(MainspringError):
    """Root of what a store on disk can fail with; `store` is its path."""

    store: str


class StoreOpenError(StorageError, OSError):
    """The path cannot hold a store: a directory, a network file system, no permission, a foreign file."""

    def __init__(self, *, store: str, reason: str, hint: str | None = None) -> None:
        super().__init__(f"cannot open the store {store}: {reason}", hint=hint, store=store, reason=reason)


class StoreMissingError(StoreOpenError):
    """There is no store to read; the programs that only look create none."""

    def __init__(self, *, store: str) -> None:
        MainspringError.__init__(
            self,
            f"there is no store at {store} yet",
            hint="the app creates it when it runs; look also at store=, MAINSPRING_STORE and MAINSPRING_STATE_DIR",
            store=store,
        )


class StoreReadOnlyError(StorageError, PermissionError):
    """The file or its directory may not be written."""

    def __init__(self, *, store: str) -> None:
        super().__init__(
            f"the store {store} is read-only",
            hint="give this user write access to the file and to its directory",
            store=store,
        )


class StoreCorruptError(StorageError, ValueError):
    """The file is damaged, or is no database."""

    def __init__(self, *, store: str, detail: str) -> None:
        super().__init__(
            f"the store {store} is damaged or is no SQLite database ({detail})",
            hint="move the file away and restore a backup; `sqlite3 FILE .recover` may save rows",
            store=store,
            detail=detail,
        )


class StoreFullError(StorageError, OSError):
    """There is no room left for the write; nothing of it was kept."""

    def __init__(self, *, store: str) -> None:
        super().__init__(
            f"no room is left on the disk of the store {store}",
            hint="free some space; the store goes on by itself, what failed must be sent again",
            store=store,
        )


class StoreMismatchError(StorageError, ValueError):
    """The store was made with other numbers than those it is opened with; nothing was changed."""

    def __init__(self, *, store: str, field: str, found: str, wanted: str) -> None:
        super().__init__(
            f"the store {store} was made with {field}={found}, not {wanted}",
            hint="open it as it was made, or convert it with SQLShard.reshard()",
            store=store,
            field=field,
            found=found,
            wanted=wanted,
        )


class StoreTooNewError(StorageError, RuntimeError):
    """The file was written by a newer version of the program."""

    def __init__(self, *, store: str, version: int, known: int) -> None:
        super().__init__(
            f"the store {store} has schema version {version}, this program knows versions up to {known}",
            hint="upgrade mainspring, or open another store",
            store=store,
            version=version,
            known=known,
        )


class StoreBusyError(StorageError, TimeoutError):
    """Another process held the store for too long, or too many writes wait already."""

    def __init__(self, *, store: str, reason: str, hint: str | None = None) -> None:
        super().__init__(f"the store {store} is busy: {reason}", hint=hint, store=store, reason=reason)


class StoreReadTimeoutError(StorageError, TimeoutError):
    """A read was ended because it held its snapshot for too long."""

    def __init__(self, *, store: str, limit: float) -> None:
        super().__init__(
            f"a read of the store {store} took longer than {limit:g} s and was ended",
            hint="read in pages; a long read keeps the write-ahead log from shrinking",
            store=store,
            limit=limit,
        )


class StoreForkedError(StorageError, RuntimeError):
    """The store was opened by the parent process; a connection does not survive a fork."""

    def __init__(self, *, store: str) -> None:
        super().__init__(
            f"the store {store} was opened before this process was forked",
            hint="open the store in the child itself",
            store=store,
        )
