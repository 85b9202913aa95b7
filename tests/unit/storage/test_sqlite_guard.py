"""A database that this process uses is opened by nothing else in it, since a close would drop its locks."""

import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mainspring.errors import StoreOpenError
from mainspring.storage import SqliteOwner
from mainspring.storage._sqlite_guard import SqliteGuard


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Return a file with one row in it."""
    path = tmp_path / "numbers.db"
    async with SqliteOwner(path) as owner:
        await owner.write(lambda connection: connection.execute("CREATE TABLE numbers AS SELECT 1 AS n").close())
    return path


def content(file: Path | int) -> bytes:
    with open(file, "rb") as opened:
        return opened.read()


@pytest.fixture
def plain(path: Path) -> Iterator[int]:
    """Return a descriptor of it that SQLite knows nothing of."""
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


async def test_a_file_that_is_open_already_is_refused(path: Path, plain: int) -> None:
    with pytest.raises(StoreOpenError, match=f"numbers.db: it is open in this process by descriptor {plain}, and"):
        await SqliteOwner(path).open()


async def test_a_file_that_was_closed_is_taken(path: Path) -> None:
    assert content(path)
    async with SqliteOwner(path) as owner:
        assert await owner.read(lambda connection: connection.execute("SELECT n FROM numbers").fetchone()) == (1,)


@pytest.mark.parametrize("suffix", ["", "-shm"])
async def test_plain_open_is_refused_while_an_owner_has_it(path: Path, suffix: str) -> None:
    async with SqliteOwner(path):
        file = Path(f"{path}{suffix}")
        for way in (lambda: content(file), lambda: os.open(os.fsencode(file), os.O_RDONLY)):
            with pytest.raises(StoreOpenError, match=r"(?s)a store of this process.*`mainspring db backup`"):
                way()
    assert content(path)


async def test_a_copy_is_refused_by_every_name_of_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = path.with_name("link.db")
    link.symlink_to(path)
    monkeypatch.chdir(path.parent)
    async with SqliteOwner(link):
        for name in (path, link, Path("numbers.db"), Path("link.db"), Path("../", path.parent.name, "link.db")):
            with pytest.raises(StoreOpenError, match="a store of this process"):
                shutil.copy(name, path.with_name("copy.db"))


async def test_it_is_guarded_until_the_last_owner_is_closed(path: Path) -> None:
    async with SqliteOwner(path):
        async with SqliteOwner(path):
            pass
        with pytest.raises(StoreOpenError):
            content(path)
    assert content(path)


async def test_an_owner_that_could_not_be_opened_guards_nothing(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("no database, however long one looks at it" * 20)
    with pytest.raises(Exception, match="database"):
        await SqliteOwner(path).open()
    assert path.read_text()


async def test_other_files_and_ways_are_free(path: Path) -> None:
    other = path.with_name("other") / "numbers.db"
    other.parent.mkdir()
    async with SqliteOwner(path):
        other.write_text("of the same name")
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT n FROM numbers").fetchall() == [(1,)]
        with pytest.raises(FileNotFoundError):
            content(path.parent / "nowhere" / "numbers.db")
        with pytest.raises(FileExistsError):
            os.open(path, os.O_CREAT | os.O_EXCL)
        assert content(os.open(other, os.O_RDONLY)) == b"of the same name"


def test_a_child_of_a_fork_has_no_locks_to_lose(tmp_path: Path) -> None:
    program = f"""
        import asyncio, os, sys
        from mainspring.storage import SqliteOwner

        async def main():
            async with SqliteOwner({str(tmp_path / "n.db")!r}) as owner:
                child = os.fork()
                if not child:
                    open(owner.path, "rb").close()
                    os._exit(7)
                return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        sys.exit(asyncio.run(main()))
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(program)], timeout=60, check=False).returncode == 7


def test_without_a_list_of_descriptors_only_later_ones_are_refused(
    path: Path, plain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainspring.storage._sqlite_guard._DESCRIPTORS", path.parent / "none")
    guard = SqliteGuard()
    files = guard.add(path)
    with pytest.raises(StoreOpenError):
        content(path)
    guard.forget()
    assert content(path)
    guard.remove(files)


def test_a_descriptor_that_goes_away_while_it_is_looked_at_is_nobodys(
    path: Path, plain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainspring.storage._sqlite_guard._FACTS", path.parent / "none")
    guard = SqliteGuard()
    guard.remove(guard.add(path))
