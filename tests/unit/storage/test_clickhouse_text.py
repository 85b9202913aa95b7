"""ClickHouse statements and names."""

import pytest

from mainspring.storage._clickhouse_text import gives_rows, quoted


@pytest.mark.parametrize(
    "sql",
    [
        *("SELECT 1", " \n select 1", "-- why\n/* and\n how */ WITH 1 AS a SELECT a", "(SELECT 1) UNION ALL SELECT 2"),
        *("show tables", "DESC t", "DESCRIBE TABLE t", "EXISTS t", "EXPLAIN SELECT 1", "FROM t SELECT a"),
    ],
)
def test_what_only_reads(sql: str) -> None:
    assert gives_rows(sql)


@pytest.mark.parametrize(
    "sql", ["CREATE TABLE t (a Int8)", "INSERT INTO t SELECT 1", "-- SELECT\nDROP TABLE t", "SELECTED", ""]
)
def test_what_may_change_something(sql: str) -> None:
    assert not gives_rows(sql)


def test_only_names_that_need_it_are_quoted() -> None:
    assert ["a_1", "`a-1`", "`1`", "`a\\`b\\\\c`", "``"] == [quoted(name) for name in ("a_1", "a-1", "1", "a`b\\c", "")]
