"""A table of ClickHouse: made, filled and looked at (extras `clickhouse` or `chdb`)."""

import struct
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar  # Any: cells, rows and the driver's options

from mainspring.base import new_id
from mainspring.errors import ClickHouseRefusedError
from mainspring.storage import _clickhouse_info as info
from mainspring.storage._batch_inserter import MIB, BatchInserter
from mainspring.storage._clickhouse_text import quoted
from mainspring.storage._clickhouse_values import Convert, converter, with_moments
from mainspring.storage.clickhouse import TOKEN, Querier

if TYPE_CHECKING:
    from clickhouse_connect.driver.summary import QuerySummary
    from pandas import DataFrame

T = TypeVar("T")

# What the driver raises for a value that does not fit its column.
_BAD_VALUES: Final = (AttributeError, TypeError, ValueError, OverflowError, struct.error)


class BaseStorage(Querier, ABC):
    """A table; subclass it with `db`, `table` and `create_table`."""

    @property
    @abstractmethod
    def db(self) -> str:
        """The database of the table."""

    @property
    @abstractmethod
    def table(self) -> str:
        """The name of the table."""

    @abstractmethod
    async def create_table(self) -> Any:
        """Make the table, by `self.query("CREATE TABLE IF NOT EXISTS ...")`."""

    @property
    def full_table_name(self) -> str:
        """`db.table`, quoted where it must be."""
        return f"{quoted(self.db)}.{quoted(self.table)}"

    async def insert(
        self, data: Sequence[Sequence[Any]], column_names: Sequence[str] | str = "*", **options: Any
    ) -> "QuerySummary | None":
        """Insert rows; return when the server has them, None when there are none.

        Each call has an `insert_deduplication_token` of its own unless `settings` name one: the driver sends rows a
        second time when the server closes the connection under it, and a table with a deduplication window
        (`Replicated...`, or `non_replicated_deduplication_window`) drops them then.

        Texts in columns of dates and times are read as ISO 8601; without an offset they are in the zone of the
        column, or else of the server.

        Args:
            column_names: the columns that the rows have, by default all.
            options: of the driver, as `settings`.

        Raises:
            ClickHouseRefusedError: a value does not fit, or ClickHouse refused.
            InvalidArgumentError: a text is no date.
        """
        if not len(data):
            return None

        async def send(client: Any) -> Any:
            names, types = await self._columns(client, column_names)
            rows = with_moments(data, _converters(names, types, client))
            return await self._send(client, rows, names, types, options)

        return await self._insert(send, options)

    async def insert_df(
        self, df: "DataFrame", column_names: Sequence[str] | None = None, **options: Any
    ) -> "QuerySummary | None":
        """Insert a DataFrame; as `insert`, with the frame's own columns unless others are named."""
        if df.empty:
            return None

        async def send(client: Any) -> Any:
            names, types = await self._columns(client, list(column_names or df.columns))
            frame = info.with_moments_in(df, _converters(names, types, client))
            return await self._send(client, frame, names, types, options)

        return await self._insert(send, options)

    def inserter(
        self,
        column_names: Sequence[str] | str = "*",
        *,
        max_rows: int = 100_000,
        max_bytes: int = 8 * MIB,
        max_seconds: float = 1.0,
        max_waiting: int = 200_000,
    ) -> BatchInserter[Sequence[Any]]:
        """Return a BatchInserter that makes many small inserts into few large ones; use it as `async with`."""

        async def insert(rows: Sequence[Sequence[Any]]) -> None:
            await self.insert(rows, column_names)

        return BatchInserter(
            insert, max_rows=max_rows, max_bytes=max_bytes, max_seconds=max_seconds, max_waiting=max_waiting
        )

    async def get_ddl_sql(self) -> str:
        """Return the statement that makes the table."""
        result = await self.query(f"SHOW CREATE TABLE {self.full_table_name}")
        return str(result.first_row[0])

    async def get_table_info(self) -> "DataFrame":
        """Return one row: engine, paths, keys, and how many rows and bytes the table has."""
        return await self._info(info.TABLE)

    async def get_part_info(self) -> "DataFrame":
        """Return a row for each active part: its partition, rows, bytes, marks and place."""
        return await self._info(info.PARTS)

    async def get_column_info(self) -> "DataFrame":
        """Return a row for each column: its sizes, and how many times smaller it is compressed.

        In parts below ClickHouse's `min_bytes_for_wide_part` (10 MB) the columns share a file, and their sizes are
        not known: they are empty then.
        """
        return await self._info(info.COLUMNS)

    async def _info(self, sql: str) -> "DataFrame":
        return await self.query_df(sql, parameters={"db": self.db, "table": self.table})

    async def _insert(self, send: Callable[[Any], Awaitable[T]], options: Mapping[str, Any]) -> T:
        harmless = TOKEN in (options.get("settings") or {})
        try:
            return await self._call(send, harmless=harmless)
        except ClickHouseRefusedError:
            self._shared().columns.pop(self.full_table_name, None)  # it may have changed
            raise

    async def _send(
        self, client: Any, data: Any, names: Sequence[str], types: Sequence[str], options: Mapping[str, Any]
    ) -> Any:
        given: Mapping[str, object] = options.get("settings") or {}
        wanted = {**options, "settings": {TOKEN: new_id(), **given}}
        try:
            return await client.insert(
                self.table, data, column_names=names, database=self.db, column_type_names=types, **wanted
            )
        except _BAD_VALUES as error:
            raise ClickHouseRefusedError(store=self._store, reason=f"a value does not fit: {error}") from error

    async def _columns(self, client: Any, wanted: Sequence[str] | str) -> tuple[list[str], list[str]]:
        """Return the names and types of the wanted columns."""
        known = self._shared().columns
        if self.full_table_name not in known:
            result = await client.query(f"DESCRIBE TABLE {self.full_table_name}")
            known[self.full_table_name] = [
                (str(row[0]), str(row[1])) for row in result.result_rows if row[2] not in info.NOT_INSERTABLE
            ]
        types = dict(known[self.full_table_name])
        names = list(types) if wanted == "*" else [wanted] if isinstance(wanted, str) else list(wanted)
        missing = next((name for name in names if name not in types), None)
        if missing is not None:
            reason = f"{self.full_table_name} has no column {missing!r} to insert into"
            raise ClickHouseRefusedError(store=self._store, reason=reason)
        return names, [types[name] for name in names]


def _converters(names: Sequence[str], types: Sequence[str], client: Any) -> list[Convert | None]:
    return [converter(name, type_name, client.server_tz) for name, type_name in zip(names, types, strict=True)]
