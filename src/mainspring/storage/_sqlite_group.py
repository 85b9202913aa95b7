"""Writes one group of commands in one transaction, so that a bad command fails alone.

Each batch (the commands of one channel) runs under a savepoint. When its handler raises, the savepoint is
rolled back and the commands are run again one by one, each under a savepoint of its own; only those that fail
by themselves are answered with their error. When SQLite gave up the whole transaction (a full disk may do
that), nothing of the group was kept and the error goes to all of them.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from mainspring.errors import InvalidArgumentError

# Any: the group carries commands and answers of every channel; WriteChannel gives each its type back.
Handler = Callable[[sqlite3.Connection, Sequence[Any]], Sequence[Any]]
Batch = tuple[Handler, Sequence[Any]]


def write_group(
    connection: sqlite3.Connection,
    batches: Sequence[Batch],
    *,
    begin: Callable[[sqlite3.Connection], None],
    commit: Callable[[sqlite3.Connection], None],
) -> list[Sequence[Any]]:
    """Run the batches in one transaction; return their answers, an exception where a command failed.

    Raises:
        Exception: the transaction as a whole failed; nothing was kept.
    """
    begin(connection)
    try:
        answers = [_run_batch(connection, handler, commands) for handler, commands in batches]
        commit(connection)
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return answers


def _run_batch(connection: sqlite3.Connection, handler: Handler, commands: Sequence[Any]) -> Sequence[Any]:
    answers = _under_savepoint(connection, handler, commands)
    if not isinstance(answers, Exception):
        return answers
    if len(commands) == 1:
        return [answers]
    split: list[Any] = []
    for command in commands:
        alone = _under_savepoint(connection, handler, [command])
        split.append(alone if isinstance(alone, Exception) else alone[0])
    return split


def _under_savepoint(
    connection: sqlite3.Connection, handler: Handler, commands: Sequence[Any]
) -> Sequence[Any] | Exception:
    connection.execute("SAVEPOINT batch")
    try:
        answers = handler(connection, commands)
        if len(answers) != len(commands):
            raise InvalidArgumentError(
                argument="answers", value=len(answers), expected=f"one for each of {len(commands)} commands"
            )
    except Exception as error:  # supervisor: the error is the command's answer
        if not connection.in_transaction:
            raise
        connection.execute("ROLLBACK TO batch")
        connection.execute("RELEASE batch")
        return error
    connection.execute("RELEASE batch")
    return answers
