"""What a table of SQLite is like, and the columns that make it fit for rows.

Names of columns are compared without case, as SQLite does; here they are in lower case.
"""

import re
from collections.abc import Mapping
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
    """

    types: Mapping[str, str]


def read_schema(tx: SqlTransaction, table: str) -> TableSchema:
    """Look at a table; in one row, since it may have more columns than a sink may read rows."""
    found = tx.execute(
        "SELECT json_group_array(json_array(lower(name), type)) FROM pragma_table_info(?)",
        (table,),
    )
    types = dict(decode_json(str(found[0][0]), list[tuple[str, str]]))
    if "ANY" in map(str.upper, types.values()) and _is_strict(tx, table):
        types = {name: "" if declared.upper() == "ANY" else declared for name, declared in types.items()}
    return TableSchema(types=types)


def add_columns(tx: SqlTransaction, table: str, typed: Mapping[str, str], *, exists: bool) -> None:
    """Make a table of these columns and types, or give it them.

    Raises:
        TableSchemaError: it would have none, or its name is that of something else.
    """
    if not exists and not typed:
        reason = "cannot be made: its first rows have no columns"
        raise TableSchemaError(table=table, reason=reason, hint='let a row name its columns: {"name": None}')
    columns = [f'"{name}" {declared}'.rstrip() for name, declared in typed.items()]
    if exists:
        for column in columns:
            tx.execute(f'ALTER TABLE "{table}" ADD COLUMN {column}')
        return
    taken = tx.execute("SELECT type FROM sqlite_master WHERE name = ? COLLATE NOCASE", (table,))
    if taken:
        raise TableSchemaError(table=table, reason=f"cannot be made: its name is that of an {taken[0][0]}")
    tx.execute(f'CREATE TABLE "{table}" ({", ".join(columns)})')


def _is_strict(tx: SqlTransaction, table: str) -> bool:
    """Tell whether ANY means any type there, and not a number where it can be one."""
    found = tx.execute("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE", (table,))
    return bool(found) and _STRICT.search(str(found[0][0])) is not None
