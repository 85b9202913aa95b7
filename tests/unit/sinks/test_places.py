"""Two sinks of one place: refused where one would remove what the other has written in the same run."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.sinks.support_tables import Database, run_of

from mainspring.errors import InvalidArgumentError, InvalidItemError
from mainspring.sinks import ClickHouseIntervals, Csv, JsonLines, SinkSet, SqlTable
from mainspring.storage import Querier

QUERIER = Querier(host="127.0.0.1", port=1)
PAIRS: list[tuple[Callable[[Path], object], Callable[[Path], object], bool]] = [
    (lambda _: SqlTable("t", replace="interval"), lambda _: SqlTable("T", replace="interval"), False),
    (lambda _: SqlTable("t", replace="interval"), lambda _: SqlTable("t", key=("n",)), False),
    (lambda _: SqlTable("t"), lambda _: SqlTable("t", replace="interval"), False),
    (
        lambda folder: SqlTable("t", replace="interval", database=folder / "a.db"),
        lambda folder: SqlTable("t", replace="interval", database=folder / "b" / ".." / "a.db"),
        False,
    ),
    (lambda folder: JsonLines(folder / "rows"), lambda folder: Csv(folder / "rows"), False),
    (lambda _: ClickHouseIntervals("t", QUERIER), lambda _: ClickHouseIntervals("t", QUERIER), False),
    (lambda _: SqlTable("t"), lambda _: SqlTable("t", key=("n",)), True),
    (lambda _: SqlTable("t", replace="interval"), lambda _: SqlTable("u", replace="interval"), True),
    (
        lambda _: SqlTable("t", replace="interval"),
        lambda folder: SqlTable("t", replace="interval", database=folder / "a.db"),
        True,
    ),
    (lambda folder: JsonLines(folder / "a"), lambda folder: JsonLines(folder / "b"), True),
]


@pytest.mark.parametrize(("one", "other", "may"), PAIRS)
def test_sinks_of_one_place_are_not_registered_together_if_one_replaces(
    tmp_path: Path, one: Callable[[Path], object], other: Callable[[Path], object], may: bool
) -> None:
    sinks = SinkSet()
    sinks.add(one(tmp_path), types=[int], name="one")
    if may:
        sinks.add(other(tmp_path), types=[str], name="other")
        return
    with pytest.raises(InvalidArgumentError, match="another place than sink 'one'") as caught:
        sinks.add(other(tmp_path), types=[str], name="other")
    assert "@app.sink(A, B)" in (caught.value.hint or "")


@pytest.mark.parametrize(("one", "other", "may"), PAIRS)
async def test_a_run_that_emits_to_two_sinks_of_one_place_hears_of_it_before_anything_is_written(
    tmp_path: Path, one: Callable[[Path], object], other: Callable[[Path], object], may: bool
) -> None:
    (tmp_path / "b").mkdir()
    sinks, database = SinkSet(), Database()
    own = other(tmp_path)
    sinks.add(one(tmp_path), types=[dict], name="one")
    sinks.bind("job load", own)
    await sinks.open(database)
    session = sinks.session(run_of(), default=own)
    await session.emit({"n": 1})
    if may:
        await session.emit({"n": 2}, sink="one")
    else:
        with pytest.raises(InvalidItemError, match="writes to the same place in this run"):
            await session.emit({"n": 2}, sink="one")
    await session.discard()
    await sinks.close()
    assert {"a.db", "b"} >= {name for name in os.listdir(tmp_path) if "-" not in name}
    database.connection.close()


async def test_what_a_run_wrote_is_not_removed_by_another_sink_of_the_place(tmp_path: Path) -> None:
    """Of the sinks that got nothing each has its turn, but not where the run has written already."""
    sinks, database = SinkSet(), Database()
    sinks.add(SqlTable("t", replace="interval"), types=[int], name="table")
    sinks.add(JsonLines(tmp_path / "{start:%H}"), types=[str], name="lines")
    await sinks.open(database)
    owns = (SqlTable("t", replace="interval"), JsonLines(tmp_path / "{start:%H}"), SqlTable("t"))
    for fence, own in enumerate(owns * 2, 1):
        session = sinks.session(run_of(fence=fence), default=own)
        await session.emit({"n": fence})
        for write in await session.finish():
            write.apply(database)
        if isinstance(own, SqlTable):
            assert (fence,) in database.execute("SELECT n FROM t")
        else:
            assert f'{{"n":{fence}}}\n' == (tmp_path / "05").read_text()
    assert [(3,), (6,)] == database.execute("SELECT n FROM t ORDER BY n")  # the rows of a plain sink stay
    await sinks.close()
    database.connection.close()
