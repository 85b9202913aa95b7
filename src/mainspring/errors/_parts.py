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


class BindError(MainspringError, OSError):
    """An address cannot be listened on; the cause has the system's error number.

    Attributes:
        where: the address, as `tcp://127.0.0.1:80`.
        reason: what the system said.
    """

    where: str
    reason: str

    def __init__(self, *, where: str, reason: str, hint: str | None = None) -> None:
        super().__init__(f"cannot listen on {where}: {reason}", hint=hint, where=where, reason=reason)


class CommandLineError(MainspringError, ValueError):
    """The words after a command do not fit its arguments."""

    reason: str

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason, reason=reason)


class MissingConfigError(ConfigError, KeyError):
    """The configuration has not the part that was asked for."""

    def __init__(self, *, source: str, key: str) -> None:
        super().__init__(source=source, key=key, reason="there is no such table")


class CredentialNotFoundError(MainspringError, ValueError):
    """No store knows the credential of an account."""

    account: str
    exchange: str

    def __init__(self, *, account: str, exchange: str) -> None:
        super().__init__(f"no credential of {account} at {exchange} was found", account=account, exchange=exchange)


class CredentialFormatError(MainspringError, KeyError, ValueError):
    """What a store keeps as a credential cannot be read, or lacks a key; nothing of it is shown."""

    where: str
    reason: str

    def __init__(self, *, where: str, reason: str) -> None:
        super().__init__(f"the credential in {where} is of no use: {reason}", where=where, reason=reason)


class CredentialStoreError(MainspringError, ConnectionError):
    """A store of credentials cannot be asked."""

    store: str
    reason: str

    def __init__(self, *, store: str, reason: str) -> None:
        super().__init__(f"{store} cannot be asked for credentials: {reason}", store=store, reason=reason)


class NotifyError(MainspringError, ConnectionError):
    """A notification was not taken.

    Attributes:
        status: the HTTP status; 0 when there was no answer.
        code: what the service said beside it, or None.
        body: the beginning of the answer.
        retry_after: seconds for which the service wants to be left alone; 0 when it did not say.
    """

    status: int
    code: object
    body: str
    retry_after: float = 0.0

    def __init__(self, *, status: int, code: object, body: str) -> None:
        said = f"status {status}" + ("" if code is None else f", code {code}")
        super().__init__(
            f"the notification was not taken ({said}): {body}" if status else f"the notification was not taken: {body}",
            status=status,
            code=code,
            body=body,
        )


class FetchError(MainspringError, ConnectionError):
    """A page could not be fetched; `status` is the server's answer, None when there was none."""

    url: str
    reason: str
    status: int | None

    def __init__(self, *, url: str, reason: str, status: int | None = None) -> None:
        super().__init__(f"{url} could not be fetched: {reason}", url=url, reason=reason, status=status)


class StorageError(MainspringError):
    """Root of what a store on disk can fail with; `store` is its path."""

    store: str


class StoreOpenError(StorageError, OSError):
    """The path cannot hold a store: a directory, a network file system, no permission, a foreign file."""

    reason: str

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

    detail: str

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

    field: str
    found: str
    wanted: str

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

    version: int
    known: int

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

    reason: str

    def __init__(self, *, store: str, reason: str, hint: str | None = None) -> None:
        super().__init__(f"the store {store} is busy: {reason}", hint=hint, store=store, reason=reason)


class StoreReadTimeoutError(StorageError, TimeoutError):
    """A read was ended because it held its snapshot for too long."""

    limit: float

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


class ClickHouseError(StorageError):
    """Root of what a ClickHouse database can fail with; `store` is its address, without the password."""


class ClickHouseRefusedError(ClickHouseError, ValueError):
    """The database, or its driver, refused a statement or a value; nothing of an insert that it names was kept.

    Attributes:
        code: ClickHouse's number of the error, 0 when the driver refused.
        code_name: its name, as "UNKNOWN_TABLE"; empty when it is not known.
        reason: what it said.
    """

    code: int
    code_name: str
    reason: str

    def __init__(self, *, store: str, reason: str, code: int = 0, code_name: str = "") -> None:
        super().__init__(f"{store} refused: {reason}", store=store, reason=reason, code=code, code_name=code_name)


class ClickHouseUnavailableError(ClickHouseError, ConnectionError):
    """The database does not answer, or the connection broke.

    Attributes:
        reason: what happened.
        sent: whether the statement may have arrived, and been carried out.
    """

    reason: str
    sent: bool

    def __init__(self, *, store: str, reason: str, sent: bool = True) -> None:
        super().__init__(f"{store} does not answer: {reason}", store=store, reason=reason, sent=sent)


class ClickHouseTimeoutError(ClickHouseError, TimeoutError):
    """There was no answer in time; the database may still be at work on the statement."""

    limit: float

    def __init__(self, *, store: str, limit: float) -> None:
        super().__init__(f"{store} gave no answer in {limit:g} s", store=store, limit=limit)
