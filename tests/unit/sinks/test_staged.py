"""A chunk that is gone fails its run: rows are never left out silently."""

import pytest
from tests.unit.sinks.support_tables import Database, run_of

from mainspring.errors import SinkWriteError
from mainspring.sinks import SinkSet, SqlTable


async def test_a_staged_chunk_that_is_gone_fails_the_write() -> None:
    database, sinks = Database(), SinkSet()
    await sinks.open(database)
    session = sinks.session(run_of(), default=SqlTable("t"))
    for n in range(2_001):
        await session.emit({"n": n})
    (write,) = await session.finish()
    assert repr(write) == "<RowsWrite of 2001 for t>"
    assert (write.count, write.sink_name) == (2_001, "t")
    database.execute("DELETE FROM stage")
    with pytest.raises(SinkWriteError, match="chunk 0 is gone"):
        write.apply(database)
    database.connection.close()
