import os
import sqlite3
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.unit.storage.support_users import as_nobody, unprivileged

from mainspring.errors import StoreOpenError, StoreReadOnlyError
from mainspring.storage import InlineRunner, SqliteOwner, connect
from mainspring.storage import _sqlite_files as files
from mainspring.storage._sqlite_guard import guard


def test_missing_directories_and_the_file_are_private(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "store.db"
    files.prepare_path(path)
    files.prepare_path(path)
    for made, mode in ((path.parent, 0o700), (path.parent.parent, 0o700), (path, 0o600)):
        assert stat.S_IMODE(made.stat().st_mode) == mode


def test_threads_that_make_the_same_file_do_not_take_each_other_for_a_plain_open(tmp_path: Path) -> None:
    def come(path: Path) -> None:
        files.prepare_path(path)
        guard.remove(guard.add(path))

    with ThreadPoolExecutor(4) as threads:
        for number in range(50):
            list(threads.map(come, [tmp_path / f"{number}.db"] * 4))


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreOpenError, match="it is a directory"):
        files.prepare_path(tmp_path)


def test_a_file_on_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreOpenError, match="is no directory"):
        files.prepare_path(tmp_path / "file" / "store.db")
    with pytest.raises(StoreOpenError, match="is no directory"):
        files.prepare_path(tmp_path / "file" / "deeper" / "store.db")


def test_something_else_than_a_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreOpenError, match="is no file"):
        files.prepare_path(tmp_path / "pipe")


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreOpenError, match="too long"):
        files.prepare_path(tmp_path / ("x" * 300))


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def network(_: Path) -> str:
        return "nfs4"

    monkeypatch.setattr(files, "file_system", network)
    with pytest.raises(StoreOpenError, match=r"network file system \(nfs4\)"):
        files.prepare_path(tmp_path / "store.db")


def test_an_old_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 0))
    with pytest.raises(StoreOpenError, match="too old"):
        files.prepare_path(tmp_path / "store.db")


def test_what_cannot_be_looked_at_is_not_taken_for_missing(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    os.mkfifo(tmp_path / "pipe")
    assert [True, False, False, False] == [
        files.has_file(tmp_path / name) for name in ("there", "pipe", "missing", "there/below")
    ]
    with pytest.raises(StoreOpenError, match="it is a directory"):
        files.has_file(tmp_path)
    with pytest.raises(StoreOpenError, match="File name too long"):
        files.has_file(tmp_path / ("x" * 1000))
    with unprivileged() as folder:
        (folder / "closed").mkdir(0o700)
        with as_nobody(), pytest.raises(StoreOpenError, match=r"store\.db: Permission denied") as caught:
            files.has_file(folder / "closed" / "store.db")
    assert "let this user enter the directories that lead to it, or name a store elsewhere" == caught.value.hint


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's list of mounts")
def test_the_kind_of_file_system_comes_from_the_list_of_mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path.stat().st_dev
    mounts = tmp_path / "mounts"
    number = f"{os.major(device)}:{os.minor(device)}"
    mounts.write_text(f"1 0 0:1 / /x rw - tmpfs x rw\n2 0 {number} / /y rw shared:1 - nfs4 host:/y rw\n")
    assert files.file_system(tmp_path, mounts) == "nfs4"
    mounts.write_text("")
    assert files.file_system(tmp_path, mounts) is None
    assert files.file_system(tmp_path, tmp_path / "missing") is None
    monkeypatch.setattr(sys, "platform", "darwin")
    assert files.file_system(tmp_path) is None


async def test_a_read_only_file_and_directory_are_named(tmp_path: Path) -> None:
    async with SqliteOwner(tmp_path / "warm.db", runner=InlineRunner()):
        pass
    with unprivileged() as folder:
        path = folder / "store.db"
        async with SqliteOwner(path, runner=InlineRunner()) as owner:
            await owner.write(lambda connection: connection.execute("CREATE TABLE t(x)") and None)
        path.chmod(0o444)
        folder.chmod(0o555)
        try:
            with as_nobody():
                with pytest.raises(StoreReadOnlyError, match="is read-only"):
                    await SqliteOwner(path, runner=InlineRunner()).open()
                with pytest.raises(StoreReadOnlyError):
                    await SqliteOwner(folder / "other.db", runner=InlineRunner()).open()
        finally:
            folder.chmod(0o755)


def test_a_writing_connection_has_its_durability(tmp_path: Path) -> None:
    levels = {"memory": 0, "process": 1, "disk": 2}
    for durability, level in levels.items():
        connection = connect(tmp_path / "a.db", durability=durability)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        try:
            assert connection.execute("PRAGMA synchronous").fetchone() == (level,)
        finally:
            connection.close()


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    connection = files.connect_reader(tmp_path / "a.db")
    try:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("CREATE TABLE t(x)")
    finally:
        connection.close()


def test_a_path_that_cannot_be_opened_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreOpenError, match="unable to open"):
        connect(tmp_path / "missing" / "a.db")


def test_a_reader_of_a_file_that_is_not_there_is_a_mapped_error(tmp_path: Path) -> None:
    from mainspring.errors import StorageError
    from mainspring.storage._sqlite_files import connect_reader

    with pytest.raises(StorageError):
        connect_reader(tmp_path / "no" / "such" / "file.db")


class _Broken:
    closed = False

    def execute(self, sql: str) -> None:
        raise OSError(sql)

    def close(self) -> None:
        self.closed = True


def test_a_reader_that_cannot_be_set_up_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = _Broken()

    def plain_connection(*_: object) -> _Broken:
        return broken

    monkeypatch.setattr(files, "_plain_connection", plain_connection)
    with pytest.raises(OSError, match="query_only"):
        files.connect_reader(tmp_path / "a.db")
    assert broken.closed


def test_an_error_without_a_sentence_of_ours_goes_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def no_sentence(*_: object) -> None:
        return None

    monkeypatch.setattr(files, "store_error", no_sentence)
    with pytest.raises(sqlite3.OperationalError):
        files.connect_reader(tmp_path / "no" / "such.db")
