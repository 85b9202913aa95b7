"""Whatever value meets whatever column: it is read back as it was written, or refused; and nothing more is refused."""

import sqlite3
from contextlib import closing, suppress
from typing import Final

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.sinks.support_tables import Database, call_of

from mainspring.errors import InvalidItemError
from mainspring.sinks import SqlTable, TransactionalBatch

_TYPES: Final = (
    "",
    *("INT", "integer", "BOOLEAN", "NUMERIC", "DECIMAL(10,2)", "DATE", "STRING", "ANY", "CHARINT", "FLOATING POINT"),
    *("TEXT", "VARCHAR(9)", "CLOB", "TEXTBLOB"),
    *("REAL", "double", "FLOAT"),
    *("BLOB", "BLOBREAL"),
)
_STRICT_TYPES: Final = ("INT", "INTEGER", "REAL", "TEXT", "BLOB", "ANY")
_NUMBERLIKE: Final = st.from_regex(
    r"[\t-\r \x1f\xa0]?[+-]{0,2}[0-9٣_]{0,20}\.?[0-9]{0,5}([eE][+-]?[0-9]{0,3})?[ \n\x00a]?", fullmatch=True
)
_WHOLE: Final = st.integers(-(2**63), 2**63 - 1)
_VALUES: Final = st.one_of(
    st.none(),
    st.booleans(),
    _WHOLE,
    st.floats(),
    _WHOLE.map(float),
    _NUMBERLIKE,
    _WHOLE.map(str),
    st.floats().map(str),
    st.sampled_from(["0x10", "inf", "nan", "1e5", " 1 ", "1_000", "", ".", "+.5", "1.", "-"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.binary(max_size=8),
)


def _is_kept(value: object, found: object) -> bool:
    """Tell whether a value came back; of a number it counts that it is equal, and NaN is documented to be NULL."""
    if isinstance(value, float) and value != value:
        return found is None
    are_numbers = isinstance(value, int | float) and isinstance(found, int | float)
    return value == found and (are_numbers or type(value) is type(found))


@given(declared=st.sampled_from(_TYPES), values=st.lists(_VALUES, min_size=1, max_size=4))
def test_a_value_is_read_back_as_it_was_or_refused(declared: str, values: list[object]) -> None:
    _check(f"CREATE TABLE t(v {declared})", values)


@given(declared=st.sampled_from(_STRICT_TYPES), values=st.lists(_VALUES, min_size=1, max_size=4))
def test_a_value_is_kept_or_refused_by_a_strict_table(declared: str, values: list[object]) -> None:
    if sqlite3.sqlite_version_info >= (3, 37):
        _check(f"CREATE TABLE t(v {declared}) STRICT", values)


@given(first=_VALUES, later=st.lists(_VALUES, max_size=4))
def test_a_table_of_ours_keeps_what_it_takes(first: object, later: list[object]) -> None:
    _check(None, [first, *later])


def _check(create: str | None, values: list[object]) -> None:
    database = Database()
    table = SqlTable("t", create=create is None)
    with closing(database.connection) as connection:
        if create is not None:
            connection.execute(create)
        for value in values:
            connection.execute("SAVEPOINT one")
            try:
                table.write(database, TransactionalBatch(call_of(), [{"v": value}], first=True))
            except InvalidItemError:
                with suppress(sqlite3.IntegrityError):
                    connection.execute("INSERT INTO t VALUES (?)", (value,))
                    assert not _is_kept(value, _last(connection)), "refused, though SQLite keeps it"
                connection.execute("ROLLBACK TO one")
            except sqlite3.IntegrityError:  # a strict table
                connection.execute("ROLLBACK TO one")
            else:
                assert _is_kept(value, _last(connection))


def _last(connection: sqlite3.Connection) -> object:
    return connection.execute("SELECT v FROM t ORDER BY rowid DESC LIMIT 1").fetchone()[0]
