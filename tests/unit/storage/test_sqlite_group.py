import sqlite3
from collections.abc import Iterator, Sequence

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.storage._sqlite_group import write_group


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE item(key TEXT PRIMARY KEY)")
    yield connection
    connection.close()


def begin(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")


def commit(connection: sqlite3.Connection) -> None:
    connection.execute("COMMIT")


def insert(connection: sqlite3.Connection, keys: Sequence[str]) -> list[str]:
    connection.executemany("INSERT INTO item VALUES (?)", [(key,) for key in keys])
    return [key.upper() for key in keys]


def items(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT key FROM item ORDER BY key")]


def test_batches_share_one_transaction(connection: sqlite3.Connection) -> None:
    answers = write_group(connection, [(insert, ["a"]), (insert, ["b", "c"])], begin=begin, commit=commit)
    assert answers == [["A"], ["B", "C"]]
    assert not connection.in_transaction


def test_only_the_bad_command_of_a_batch_fails(connection: sqlite3.Connection) -> None:
    answers = write_group(connection, [(insert, ["a", "b", "a"]), (insert, ["c"])], begin=begin, commit=commit)
    assert list(answers[0][:2]) == ["A", "B"]
    assert isinstance(answers[0][2], sqlite3.IntegrityError)
    assert items(connection) == ["a", "b", "c"]


def test_a_missing_answer_is_an_error(connection: sqlite3.Connection) -> None:
    (answers,) = write_group(connection, [(lambda _, keys: [], ["a"])], begin=begin, commit=commit)
    assert isinstance(answers[0], InvalidArgumentError)


def test_a_lost_transaction_keeps_nothing(connection: sqlite3.Connection) -> None:
    def lose(connection: sqlite3.Connection, keys: Sequence[str]) -> list[str]:
        insert(connection, keys)
        connection.execute("ROLLBACK")
        raise sqlite3.OperationalError("the engine rolled back")

    with pytest.raises(sqlite3.OperationalError):
        write_group(connection, [(insert, ["a"]), (lose, ["b"])], begin=begin, commit=commit)
    assert items(connection) == []


def test_a_commit_that_fails_rolls_back(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("CREATE TABLE child(key REFERENCES item DEFERRABLE INITIALLY DEFERRED)")

    def orphan(connection: sqlite3.Connection, keys: Sequence[str]) -> list[str]:
        connection.execute("INSERT INTO child VALUES ('nobody')")
        return list(keys)

    with pytest.raises(sqlite3.IntegrityError):
        write_group(connection, [(insert, ["a"]), (orphan, ["b"])], begin=begin, commit=commit)
    assert not connection.in_transaction
    assert items(connection) == []


def test_interrupts_pass_through(connection: sqlite3.Connection) -> None:
    def interrupted(_: sqlite3.Connection, keys: Sequence[str]) -> list[str]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_group(connection, [(insert, ["a"]), (interrupted, ["b"])], begin=begin, commit=commit)
    assert items(connection) == []
