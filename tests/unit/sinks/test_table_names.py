"""The names that a table of rows may not have are those of the job store's schema."""

import pytest
from tests.unit.sinks.support_tables import Database, run_of

from mainspring.errors import TableSchemaError
from mainspring.jobs.stores._sqlite_sql import own_tables
from mainspring.sinks import SqlTable, TransactionalBatch
from mainspring.sinks._table_names import STORE_TABLES


def test_only_tables_of_the_job_store_are_refused_at_once() -> None:
    assert STORE_TABLES <= own_tables()
    assert {"run", "history", "job", "event", "stage"} <= STORE_TABLES


class Newer(Database):
    """A store whose schema has a table that the list lacks."""

    own_tables = frozenset({"brand_new"})


def test_a_table_that_a_newer_schema_brought_is_refused_when_rows_are_written() -> None:
    store = Newer()
    with pytest.raises(TableSchemaError, match="'Brand_New' is one of the job store's own"):
        SqlTable("Brand_New").write(store, TransactionalBatch(run_of(), [{"a": 1}], first=True))
    store.connection.close()
