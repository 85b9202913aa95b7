"""A job store whose disk misbehaves: it says so in a sentence, keeps what it acknowledged, and goes on."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from mainspring.errors import (
    StorageError,
    StoreCorruptError,
    StoreFullError,
    StoreOpenError,
    StoreTooNewError,
)
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import Claim, Enqueue, Finish, NewRun, RunFilter, RunKind, RunRecord, SqliteStore
from mainspring.storage import InlineRunner, SqliteOwner
from mainspring.storage import _sqlite_files as files


class FaultyConnection(sqlite3.Connection):
    """Fails statements number `first` to `last` of those counted while `armed`."""

    armed = False
    seen = 0
    first = 0
    last = 0

    def execute(self, *arguments: Any) -> sqlite3.Cursor:  # Any: the signature of the base
        self._count(arguments[0])
        return super().execute(*arguments)

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:  # Any: as above
        self._count(arguments[0])
        return super().executemany(*arguments)

    def _count(self, sql: str) -> None:
        # undoing is not refused: SQLite itself undoes, with or without us
        if not FaultyConnection.armed or sql.startswith("ROLLBACK"):
            return
        FaultyConnection.seen += 1
        if FaultyConnection.first <= FaultyConnection.seen <= FaultyConnection.last:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> type[FaultyConnection]:
    def connect(path: str, wait_ms: int) -> sqlite3.Connection:
        return sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, factory=FaultyConnection, timeout=wait_ms / 1000
        )

    monkeypatch.setattr(files, "_plain_connection", connect)
    return FaultyConnection


def plain(store: SqliteStore, number: int, **changes: Any) -> NewRun:  # Any: fields of NewRun
    return NewRun(run_id=f"run-{number:04}", job_id="job", kind=RunKind.MANUAL, available_at=store.now(), **changes)


async def some_work(store: SqliteStore, acknowledged: dict[str, RunState]) -> None:
    """Enqueue, claim and finish a few runs; note what was answered."""
    epoch = await store.open_node("a")
    runs = [plain(store, n, interval_start=n, interval_end=n + 1, limits=(("k", 2),)) for n in range(4)]
    for answer in await asyncio.gather(*(store.enqueue(Enqueue(run=run)) for run in runs), return_exceptions=True):
        if not isinstance(answer, BaseException):
            acknowledged[answer.run_id] = RunState.AVAILABLE
    for _ in range(3):
        claimed = await store.claim(Claim(epoch=epoch, limit=2, jobs=frozenset({"job"})))
        ends = [
            Finish(
                run_id=record.run_id,
                epoch=epoch,
                fence=record.fence,
                attempt=record.attempt,
                state=RunState.SUCCEEDED,
                finished_at=1,
            )
            for record in claimed.runs
        ]
        for end in await asyncio.gather(*(store.finish(end) for end in ends), return_exceptions=True):
            if isinstance(end, RunRecord):
                acknowledged[end.run_id] = end.state


async def check(path: Path, acknowledged: dict[str, RunState]) -> None:
    """Every answered run is there and as told; every count fits; the rest can still be done."""
    store = SqliteStore(path, runner=InlineRunner())
    await store.open()
    try:
        records = {record.run_id: record for record in await store.runs(RunFilter())}
        for run_id, state in acknowledged.items():
            assert run_id in records
            assert state is RunState.AVAILABLE or records[run_id].state is state
        succeeded = {r.interval_start for r in records.values() if r.state is RunState.SUCCEEDED}
        done: set[int | None] = set()
        for part in await store.done("job", 0, 99):
            done.update(range(part.start, part.end))
        assert succeeded == done
        counts = {state: count for _, state, count in await store.job_counts()}
        assert counts.get("succeeded", 0) == len(succeeded)
        await store.rescue()
        left = [record for record in records.values() if not record.state.terminal]
        epoch = await store.open_node("b")
        for _ in left:
            (record,) = (await store.claim(Claim(epoch=epoch, limit=1, jobs=frozenset({"job"})))).runs
            await store.finish(
                Finish(
                    run_id=record.run_id,
                    epoch=epoch,
                    fence=record.fence,
                    attempt=record.attempt,
                    state=RunState.SUCCEEDED,
                    finished_at=2,
                )
            )
    finally:
        await store.close()


async def statements_of_some_work(path: Path, faulty: type[FaultyConnection]) -> int:
    faulty.armed, faulty.seen, faulty.first, faulty.last = False, 0, 0, -1
    store = SqliteStore(path, runner=InlineRunner())
    await store.open()
    faulty.armed = True
    await some_work(store, {})
    faulty.armed = False
    await store.close()
    return faulty.seen


@pytest.mark.parametrize("length", [1, 3, 10_000])
async def test_any_statement_may_fail(tmp_path: Path, faulty: type[FaultyConnection], length: int) -> None:
    """Fail the n-th statement, for every n; then three of them; then all that follow."""
    total = await statements_of_some_work(tmp_path / "count.db", faulty)
    assert total > 40
    for first in range(1, total + 1, 1 if length == 1 else 7):
        path = tmp_path / f"{first}.db"
        acknowledged: dict[str, RunState] = {}
        store = SqliteStore(path, runner=InlineRunner())
        faulty.armed = False
        await store.open()
        faulty.armed, faulty.seen, faulty.first, faulty.last = True, 0, first, first + length - 1
        try:
            await some_work(store, acknowledged)
        except StorageError:
            pass
        finally:
            faulty.armed = False
            await store.close()
        await check(path, acknowledged)


async def test_a_full_disk_fails_what_does_not_fit_and_goes_on(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "jobs.db")
    await store.open()
    try:

        def shrink(connection: sqlite3.Connection) -> None:
            used = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={used + 4}")

        def grow(connection: sqlite3.Connection) -> None:
            connection.execute("PRAGMA max_page_count=1000000")

        await store.owner.write(shrink)
        big = plain(store, 1, config=b"x" * 100_000)
        with pytest.raises(StoreFullError, match="no room is left"):
            await store.enqueue(Enqueue(run=big))
        assert (await store.enqueue(Enqueue(run=plain(store, 2)))).outcome == "created"
        await store.owner.write(grow)
        assert (await store.enqueue(Enqueue(run=big))).outcome == "created"
        assert len(await store.runs(RunFilter())) == 2
    finally:
        await store.close()


def damaged(path: Path, *, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset : offset + 2000] = b"\xff" * 2000
    path.write_bytes(data)


@pytest.mark.parametrize("offset", [0, 100])
async def test_a_damaged_file_is_named_at_the_open(tmp_path: Path, offset: int) -> None:
    store = SqliteStore(tmp_path / "jobs.db")
    await store.open()
    await store.close()
    damaged(tmp_path / "jobs.db", offset=offset)
    with pytest.raises(StoreCorruptError, match="damaged or is no SQLite database"):
        await SqliteStore(tmp_path / "jobs.db").open()


async def test_damage_inside_is_named_when_it_is_met(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    store = SqliteStore(path)
    await store.open()
    await store.enqueue_many([Enqueue(run=plain(store, n, config=b"y" * 500)) for n in range(200)])
    await store.close()
    data = bytearray(path.read_bytes())
    data[4096 * 40 :] = b"\xee" * (len(data) - 4096 * 40)
    path.write_bytes(data)
    again = SqliteStore(path)
    await again.open()
    try:
        with pytest.raises(StoreCorruptError):
            await again.runs(RunFilter(limit=500))
    finally:
        await again.close()


@pytest.mark.parametrize("content", [b"not a database, but long enough to look at" * 30, b"short"])
async def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "jobs.db").write_bytes(content)
    with pytest.raises(StoreCorruptError):
        await SqliteStore(tmp_path / "jobs.db").open()
    assert (tmp_path / "jobs.db").read_bytes() == content


async def test_a_newer_store_is_refused_and_untouched(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "jobs.db")
    await store.open()
    await store.owner.write(lambda connection: connection.execute("PRAGMA user_version=999") and None)
    await store.close()
    with pytest.raises(StoreTooNewError, match="schema version 999"):
        await SqliteStore(tmp_path / "jobs.db").open()


async def test_the_file_of_another_program_is_refused(tmp_path: Path) -> None:
    async with SqliteOwner(tmp_path / "jobs.db", application="other") as owner:
        await owner.write(lambda connection: connection.execute("PRAGMA application_id=77") and None)
    with pytest.raises(StoreOpenError, match="another application"):
        await SqliteStore(tmp_path / "jobs.db").open()
