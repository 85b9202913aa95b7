"""What a table of SQLite is like, and what makes it fit for rows: its columns, and the unique index of their key.

Names of columns are compared without case, as SQLite does; here they are in lower case.
"""

import re
import reprlib
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mainspring.base import decode_json
from mainspring.errors import TableSchemaError
from mainspring.sinks._transaction import SqlTransaction

_STRICT: Final = re.compile(r"\)[\w\s,]*\bSTRICT\b[\w\s,]*\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A table as it is.

    Attributes:
        types: the declared type of each column; none if there is no table.
        primary: the columns of its primary key.
        has_defaults: whether a column that a row lacks may become something else than NULL.
    """

    types: Mapping[str, str]
    primary: frozenset[str]
    has_defaults: bool


def read_schema(tx: SqlTransaction, table: str) -> TableSchema:
    """Look at a table; in one row, since it may have more columns than a sink may read rows."""
    found = tx.execute(
        "SELECT json_group_array(json_array(lower(name), type, pk, dflt_value IS NOT NULL)) FROM pragma_table_info(?)",
        (table,),
    )
    columns = decode_json(str(found[0][0]), list[tuple[str, str, int, int]])
    types = {name: declared for name, declared, _, _ in columns}
    if "ANY" in map(str.upper, types.values()) and _is_strict(tx, table):
        types = {name: "" if declared.upper() == "ANY" else declared for name, declared in types.items()}
    return TableSchema(
        types=types,
        primary=frozenset(name for name, _, place, _ in columns if place),
        has_defaults=any(default for _, _, _, default in columns),
    )


def no_columns(table: str) -> TableSchemaError:
    """Return the error of a table that rows without columns cannot make."""
    reason = "cannot be made: its first rows have no columns"
    return TableSchemaError(table=table, reason=reason, hint='let a row name its columns: {"name": None}')


def add_columns(tx: SqlTransaction, table: str, typed: Mapping[str, str], *, exists: bool) -> None:
    """Make a table of these columns and types, or give it them.

    Raises:
        TableSchemaError: it would have none, or its name is that of something else.
    """
    if not exists and not typed:
        raise no_columns(table)
    columns = [f'"{name}" {declared}'.rstrip() for name, declared in typed.items()]
    if exists:
        for column in columns:
            tx.execute(f'ALTER TABLE "{table}" ADD COLUMN {column}')
        return
    taken = tx.execute("SELECT type FROM sqlite_master WHERE name = ? COLLATE NOCASE", (table,))
    if taken:
        raise TableSchemaError(table=table, reason=f"cannot be made: its name is that of an {taken[0][0]}")
    tx.execute(f'CREATE TABLE "{table}" ({", ".join(columns)})')


def require_unique(
    tx: SqlTransaction, table: str, key: Sequence[str], primary: Collection[str], *, create: bool
) -> None:
    """See that the rows of a table have no key in common, as an upsert needs it; make the index that says so.

    Raises:
        TableSchemaError: there is no such index, and it cannot be made or may not.
    """
    wanted = {name.lower() for name in key}
    if wanted == primary or wanted in _unique_sets(tx, table):
        return
    names = ", ".join(key)
    statement = f'CREATE UNIQUE INDEX "{table}_key" ON "{table}" ({", ".join(map(quoted, key))})'
    if not create:
        reason = f"has no unique index of ({names}), by which a row would find the older one"
        raise TableSchemaError(table=table, reason=reason, hint=f"make it ({statement}), or use SqlTable(create=True)")
    sql = "SELECT type, tbl_name FROM sqlite_master WHERE name = ? COLLATE NOCASE"
    for kind, of in tx.execute(sql, (f"{table}_key",)):
        raise _is_taken(table, names, str(kind), str(of))
    try:
        tx.execute(statement)
    except sqlite3.IntegrityError:
        raise _has_doubles(tx, table, key) from None


def quoted(name: str) -> str:
    """Return a name as SQL takes it."""
    return f'"{name}"'


def _is_strict(tx: SqlTransaction, table: str) -> bool:
    """Tell whether ANY means any type there, and not a number where it can be one."""
    found = tx.execute("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE", (table,))
    return bool(found) and _STRICT.search(str(found[0][0])) is not None


def _unique_sets(tx: SqlTransaction, table: str) -> list[set[str | None]]:
    """Return the columns of each index that lets no two rows be alike in them; None stands for an expression."""
    columns = "SELECT json_group_array(lower(part.name)) FROM pragma_index_info(one.name) part"
    indexes = 'FROM pragma_index_list(?) one WHERE one."unique" AND NOT one.partial'
    found = tx.execute(f"SELECT json_group_array(json(({columns}))) {indexes}", (table,))
    return decode_json(str(found[0][0]), list[set[str | None]])


def _is_taken(table: str, names: str, kind: str, of: str) -> TableSchemaError:
    if kind == "index" and of.lower() == table.lower():
        return TableSchemaError(
            table=table,
            reason=f"has an index {table}_key of other columns than ({names}), from when its rows had another key",
            hint=f'DROP INDEX "{table}_key", and the next run makes it of ({names})',
        )
    reason = f"needs a unique index {table}_key of ({names}), and that is the name of another {kind}"
    return TableSchemaError(table=table, reason=reason, hint=f"make one of another name, or rename the {kind}")


def _has_doubles(tx: SqlTransaction, table: str, key: Sequence[str]) -> TableSchemaError:
    names, listed = ", ".join(map(quoted, key)), " AND ".join(f'"{name}" IS NOT NULL' for name in key)
    sql = f'SELECT count(*), {names} FROM "{table}" WHERE {listed} GROUP BY {names} HAVING count(*) > 1 LIMIT 1'
    [(count, *values)] = tx.execute(sql)
    alike = ", ".join(f"{name}={reprlib.repr(value)}" for name, value in zip(key, values, strict=True))
    return TableSchemaError(
        table=table,
        reason=f"has rows with the same key: {count} with {alike}; so it can have no unique index of its key",
        hint="delete the rows that should not count, or write into a new table",
    )
