"""ClickHouse: queries, tables and inserts, on a server (extra `clickhouse`) or an embedded engine (extra `chdb`)."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar  # Any: cells, rows and the driver's options
from weakref import WeakKeyDictionary

from mainspring.base import Backoff, load_extra
from mainspring.errors import (
    ClickHouseError,
    ClickHouseTimeoutError,
    InvalidArgumentError,
    MainspringError,
)
from mainspring.resilience import check_seconds, retry
from mainspring.resilience import timeout as time_limit
from mainspring.storage._clickhouse_text import gives_rows
from mainspring.storage.clickhouse_pool import SharedClient, driver_failures, mapped, may_try_again, shared_client

if TYPE_CHECKING:
    from clickhouse_connect.driver.summary import QuerySummary
    from pandas import DataFrame

T = TypeVar("T")

RETRY: Final = Backoff(0.1, maximum=2.0, jitter="full", max_tries=4)
TIMEOUT: Final = 300.0
_PIECE: Final = 512 << 10
TOKEN: Final = "insert_deduplication_token"


class BaseClient:
    """A way to one ClickHouse database; all with the same options share at most 16 connections per event loop.

    Nothing is opened here, and no loop is needed: the first statement connects. Use it as `async with`, call
    `close`, or do neither: connections are closed with their loop, an embedded engine with its last user.

    Args:
        path: a folder for an embedded engine, which lives in a process of its own while somebody uses it; instead
            of a server. One process at a time may use a folder.
        timeout: seconds for one attempt at a statement, answer included, > 0.
        retry: pauses between the attempts to read. A command or an insert is sent again only when it certainly
            was not carried out, or when the insert names an `insert_deduplication_token`.
        options: those of clickhouse-connect: `host`, `port`, `username` or `user`, `password`, `database`,
            `secure`, `dsn`, `settings`, ...

    Raises:
        InvalidArgumentError: `timeout` is not above 0, `retry` is no Backoff, or both a folder and a server are named.
    """

    def __init__(
        self,
        *,
        path: str | Path | None = None,
        timeout: float = TIMEOUT,
        retry: Backoff = RETRY,
        **options: Any,  # Any: of the driver
    ) -> None:
        check_seconds("timeout", timeout)
        _check_backoff(retry)
        if path is not None and not options.keys().isdisjoint({"host", "port", "dsn"}):
            raise InvalidArgumentError(argument="path", value=path, expected="either a folder or a server")
        self._path = None if path is None else Path(path).absolute()
        self._timeout = timeout
        self._retry = retry
        self._options = options
        self._leases: WeakKeyDictionary[asyncio.AbstractEventLoop, SharedClient] = WeakKeyDictionary()
        host, port = options.get("host", "localhost"), options.get("port")
        where = f"at {host}" + (f":{port}" if port else "") if path is None else f"in {path}"
        self._store = f"ClickHouse {where}"

    async def close(self) -> None:
        """Let go of the connections of this loop; the last user closes them. A later statement connects again."""
        lease = self._leases.pop(asyncio.get_running_loop(), None)
        if lease is not None:
            await lease.give_back()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _shared(self) -> SharedClient:
        loop = asyncio.get_running_loop()
        lease = self._leases.get(loop)
        if lease is None:
            lease = self._leases[loop] = shared_client(self._options, self._path)
        return lease

    async def _call(self, operation: Callable[[Any], Awaitable[T]], *, harmless: bool) -> T:
        """Return what an operation on the driver's client returns, tried as often as is allowed.

        Raises:
            ClickHouseError: it failed for good.
        """

        def passes(error: Exception) -> bool:
            return isinstance(error, ClickHouseError) and may_try_again(error, harmless=harmless)

        @retry(on=passes, backoff=self._retry)
        async def attempt() -> T:
            return await self._attempt(operation)

        return await attempt()

    async def _attempt(self, operation: Callable[[Any], Awaitable[T]]) -> T:
        sent = False
        try:
            async with time_limit(self._timeout):
                client = await self._shared().client()
                sent = True
                return await operation(client)
        except TimeoutError as error:
            raise ClickHouseTimeoutError(store=self._store, limit=self._timeout) from error
        except MainspringError:
            raise
        except driver_failures() as error:
            raise mapped(error, store=self._store, sent=sent) from error

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._store}>"


def _check_backoff(retry: object) -> None:
    if not isinstance(retry, Backoff):
        raise InvalidArgumentError(argument="retry", value=retry, expected="a Backoff")


class Querier(BaseClient):
    """Runs statements."""

    async def query(self, sql: str, **options: Any) -> Any:
        """Run a statement: one that reads returns a QueryResult (`result_rows`, `column_names`, ...), any other one a
        QuerySummary.

        Args:
            options: of the driver, as `parameters={"name": value}` for `{name:Type}` in the statement, `settings`.

        Raises:
            ClickHouseRefusedError: ClickHouse refused it.
            ClickHouseUnavailableError: there was no answer, after all attempts.
            ClickHouseTimeoutError: there was no answer in time.
            StoreOpenError: the folder of an embedded engine cannot be used.
            MissingExtraError: the driver or the engine is not installed.
        """
        if gives_rows(sql):
            return await self._call(lambda client: client.query(sql, **options), harmless=True)
        self._shared().columns.clear()  # a table may change
        return await self._call(lambda client: client.command(sql, **options), harmless=False)

    async def query_df(self, sql: str, **options: Any) -> "DataFrame":
        """Run a statement that reads; return a DataFrame (extra `pandas`). Raises what `query` raises."""
        load_extra("pandas", feature="a DataFrame", extra="pandas")
        return await self._call(lambda client: client.query_df(sql, **options), harmless=True)

    async def stream(self, sql: str, **options: Any) -> AsyncGenerator[tuple[Any, ...]]:
        """Yield the rows of a large answer, block by block as they come; nothing is sent twice.

        Close it (`contextlib.aclosing`) when leaving early. Raises what `query` raises, also after the first rows.
        """
        try:
            async with await self._attempt(lambda client: client.query_row_block_stream(sql, **options)) as blocks:
                async for block in blocks:
                    for row in block:
                        yield tuple(row)
        except driver_failures() as error:
            raise mapped(error, store=self._store, sent=True) from error

    async def insert_bytes(
        self,
        table: str,
        data: bytes,
        *,
        form: str = "JSONEachRow",
        settings: Mapping[str, object] | None = None,
    ) -> "QuerySummary":
        """Insert rows that are in one of ClickHouse's formats already; return when the server has them.

        Args:
            table: as it stands in a statement, `db.table`, with columns in brackets if need be.
            settings: an `insert_deduplication_token` among them makes it safe to send the rows again.

        Raises what `query` raises.
        """
        wanted = dict(settings or {})

        async def once() -> AsyncGenerator[bytes]:
            # Bytes the driver would send again by itself, whatever became of the first time. In pieces, since the loop
            # of 3.11 moves all that is left of one at each turn.
            for start in range(0, len(data), _PIECE):
                yield data[start : start + _PIECE]

        return await self._call(
            lambda client: client.raw_insert(table, insert_block=once(), fmt=form, settings=wanted),
            harmless=TOKEN in wanted,
        )
