"""ClickHouseTable: rows of runs and services into ClickHouse, in large blocks."""

import asyncio
from collections.abc import Sequence
from typing import Final

from mainspring.base import encode_json
from mainspring.errors import InvalidArgumentError, InvalidItemError
from mainspring.sinks._clickhouse_lines import INSERT_SETTINGS, RowLines
from mainspring.sinks._clickhouse_schema import ClickHouseSchema, check_names
from mainspring.sinks._delivery import Delivery
from mainspring.sinks._sink import ResultSink, WriteIntent
from mainspring.sinks._table_names import check_table_name
from mainspring.storage import Querier

_KEY: Final = "_key"
_AT_A_TIME: Final = 2_000  # rows encoded before others get their turn
DELIVERY: Final = Delivery(
    max_count=25_000, max_bytes=8 << 20, max_seconds=1.0, max_queue=50_000, max_queue_bytes=32 << 20
)


class ClickHouseTable(ResultSink):
    """A table of ClickHouse as a sink for dicts, dataclasses and named tuples.

    Bytes become base64 text; what is neither a number, a text, a date nor a time becomes JSON text, unless the column
    has a type of its own.

    Rows of all runs and services share large blocks. A block that is repeated after an error, and a run that is
    repeated, bring rows again: with `key` or `item_key` the last row of each key counts, once. Then the rows lie in
    `TABLE_rows`, and `TABLE` is a view of those that count.

    Args:
        table: its name: letters, digits and `_`.
        querier: the way to the database, a server or an embedded engine.
        key: columns that name a row.
        item_key: the key under which an item was emitted names its row, in a column `_key`.
        order_by: columns by which the table is sorted, when it is made here; `key` by default.
        create: make the table from the first rows, and add columns that later rows bring.
        name: how the sink is called; the table's name by default.

    Raises:
        InvalidArgumentError: a name is not plain, or both `key` and `item_key` are given.
    """

    def __init__(
        self,
        table: str,
        querier: Querier,
        *,
        key: Sequence[str] = (),
        item_key: bool = False,
        order_by: Sequence[str] = (),
        create: bool = True,
        name: str | None = None,
    ) -> None:
        check_table_name(table, in_store=False)
        if key and item_key:
            raise InvalidArgumentError(argument="key", value=key, expected="only one of key= and item_key=True")
        keys = (_KEY,) if item_key else check_names("key", key)
        self.label = name or table
        self.delivery = DELIVERY
        self._querier = querier
        self._item_key = item_key
        self._table = f"{table}_rows" if keys else table
        self._schema = ClickHouseSchema(
            querier,
            self._table,
            own={_KEY: "String"} if item_key else {},
            engine="ReplacingMergeTree" if keys else "MergeTree",
            order_by=keys or check_names("order_by", order_by),
            create=create,
            view=(table, "*", "FINAL") if keys else None,
        )
        self._lines = RowLines(self.label)

    async def write_batch(self, intents: Sequence[WriteIntent]) -> None:
        """Insert one block."""
        lines: list[bytes] = []
        for start in range(0, len(intents), _AT_A_TIME):
            lines += [self._line(intent) for intent in intents[start : start + _AT_A_TIME]]
            await asyncio.sleep(0)
        await self._schema.fit(self._lines.columns, self._lines.nulls)
        await self._querier.insert_bytes(self._table, b"\n".join(lines), settings=INSERT_SETTINGS)

    def _line(self, intent: WriteIntent) -> bytes:
        if not self._item_key:
            return self._lines.line(intent.payload)
        if intent.key is None:
            hint = "emit(item, key=...), or declare the job deterministic=True"
            raise InvalidItemError(sink=self.label, reason="it was emitted without key=", hint=hint)
        return self._lines.line(intent.payload, b',"_key":%b}' % encode_json(intent.key))

    def __repr__(self) -> str:
        return f"<ClickHouseTable {self.label!r}>"
