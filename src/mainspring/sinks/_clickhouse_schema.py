"""The tables behind a ClickHouse sink: made from the first rows, widened by later ones, read through a view."""

import asyncio
import re
from collections.abc import Mapping, Sequence, Set
from typing import Any, Final

from mainspring.errors import InvalidArgumentError, TableSchemaError
from mainspring.sinks._table_names import is_plain
from mainspring.storage import Querier

DEDUPLICATION_WINDOW: Final = 1_000  # blocks whose tokens a table remembers
_COLUMNS: Final = "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {table:String}"
_NULLABLE: Final = re.compile(r"(?:LowCardinality\()?Nullable|Variant|Dynamic|JSON|Object")


class ClickHouseSchema:
    """One table of rows.

    Args:
        table: its name.
        own: columns of ours, with their types.
        engine: how it is made, without ORDER BY.
        order_by: columns by which it is sorted; they cannot be None.
        view: the name of a view with the columns of the table, what it selects and the rest of its SELECT; None:
            there is none.
        before: a statement that makes what the view needs.
        create: make what is missing; otherwise that is an error.
    """

    def __init__(
        self,
        querier: Querier,
        table: str,
        *,
        own: Mapping[str, str],
        engine: str,
        order_by: Sequence[str],
        create: bool,
        view: tuple[str, str, str] | None = None,
        before: str | None = None,
    ) -> None:
        _check_querier(querier)
        self._querier = querier
        self._table = table
        self._own = own
        self._engine = engine
        self._order_by = tuple(order_by)
        self._create = create
        self._view = view
        self._before = before
        self._known: dict[str, str] = {}
        self._one_at_a_time = asyncio.Lock()

    async def fit(self, columns: Mapping[str, str], nulls: Set[str] = frozenset()) -> None:
        """Make the table, or give it the columns that it lacks.

        Args:
            columns: what rows have, with types for columns that have to be made.
            nulls: in which of them there is a None.

        Raises:
            TableSchemaError: it may not be changed, or a column cannot be one, or cannot be None.
        """
        if not columns.keys() <= self._known.keys():
            taken = next((name for name in columns if name in self._own), None)
            if taken is not None:
                raise TableSchemaError(table=self._table, reason=f"cannot have a column {taken!r}")
            async with self._one_at_a_time:
                self._known = await self._fitted(columns)
        full = next((name for name in nulls if not _NULLABLE.match(self._known.get(name, "Nullable"))), None)
        if full is not None:
            raise TableSchemaError(table=self._table, reason=f"has a column {full!r} in which nothing can be None")

    async def _fitted(self, columns: Mapping[str, str]) -> dict[str, str]:
        found = await self._found()
        missing = {name: kind for name, kind in {**columns, **self._own}.items() if name not in found}
        if self._create:
            await self._make(missing, exists=bool(found))
            return await self._found()
        if missing:
            reason = f"has no column {next(iter(missing))!r}" if found else "does not exist"
            raise TableSchemaError(table=self._table, reason=reason, hint="create it, or leave create=True")
        return found

    async def _found(self) -> dict[str, str]:
        result = await self._querier.query(_COLUMNS, parameters={"table": self._table})
        return {str(name): str(kind) for name, kind in result.result_rows}

    async def _make(self, missing: Mapping[str, str], *, exists: bool) -> None:
        if self._before is not None:
            await self._querier.query(self._before)
        if not exists:
            await self._querier.query(self._statement(missing))
        elif missing:
            added = ", ".join(f"ADD COLUMN IF NOT EXISTS {self._column(name, kind)}" for name, kind in missing.items())
            await self._querier.query(f"ALTER TABLE {self._table} {added}")
        if self._view is not None:
            name, selected, rest = self._view
            await self._querier.query(f"CREATE OR REPLACE VIEW {name} AS SELECT {selected} FROM {self._table} {rest}")

    def _statement(self, columns: Mapping[str, str]) -> str:
        lacking = next((name for name in self._order_by if name not in columns), None)
        if lacking is not None:
            raise TableSchemaError(table=self._table, reason=f"needs a value in the column {lacking!r}")
        listed = [self._column(name, kind) for name, kind in columns.items()]
        return (
            f"CREATE TABLE IF NOT EXISTS {self._table} ({', '.join(listed)}) ENGINE = {self._engine}"
            f" ORDER BY ({', '.join(self._order_by)})"
            f" SETTINGS non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}"
        )

    def _column(self, name: str, kind: str) -> str:
        return f"{name} {kind}" if name in self._order_by or name in self._own else f"{name} Nullable({kind})"


def check_names(argument: str, names: Any) -> tuple[str, ...]:
    """Return the names of some columns.

    Raises:
        InvalidArgumentError: one is not plain.
    """
    if isinstance(names, str):
        raise InvalidArgumentError(argument=argument, value=names, expected=f"a sequence of columns: ({names!r},)")
    for name in names:
        if not is_plain(name):
            raise InvalidArgumentError(argument=argument, value=name, expected="letters, digits and _, at most 63")
    return tuple(names)


def _check_querier(querier: object) -> None:
    if not isinstance(querier, Querier):
        raise InvalidArgumentError(argument="querier", value=querier, expected="a Querier")
