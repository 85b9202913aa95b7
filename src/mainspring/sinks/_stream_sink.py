"""Which sinks a stream may have, and whether a process that is forked may open one."""

import os
from contextlib import suppress
from pathlib import Path

from mainspring.errors import InvalidArgumentError
from mainspring.sinks._delivery import Delivery
from mainspring.sinks._file_sink import FileSink
from mainspring.sinks._lane import delivery_of
from mainspring.sinks._sink import CollectingSink, TransactionalSink, check_sink
from mainspring.sinks._sql_table import SqlTable


def check_stream_sink(sink: object, delivery: Delivery | None = None) -> Delivery:
    """Return the terms for a sink of a stream.

    Raises:
        InvalidArgumentError: it is no sink, or needs a run of a job with its interval, its store or its spool.
    """
    check_sink(sink)
    if isinstance(sink, type):
        raise InvalidArgumentError(argument="sink", value=sink, expected="a sink, not its class", hint="make one of it")
    terms = delivery_of(sink, delivery)
    expected, hint = "", "the rows of a stage belong to no run of a job"
    if isinstance(sink, SqlTable):
        if sink.own is None:
            expected, hint = "SqlTable(..., database=FILE)", "a stage writes by itself, and not with a run of a job"
        elif sink.needs_run:
            expected = "a SqlTable with key= or without any of replace= and item_key="
    elif isinstance(sink, FileSink):
        if not sink.has_file_for_each_run:
            expected, hint = "a path with {run} and without {start} and {end}", "each batch is a file of its own"
    elif isinstance(sink, TransactionalSink) or (isinstance(sink, CollectingSink) and getattr(sink, "replaces", False)):
        expected = "a SqlTable, a file, a TypedSink, a ResultSink or an async function"
    if expected:
        raise InvalidArgumentError(argument="sink", value=sink, expected=expected, hint=hint)
    if terms.on_failure == "spool":
        raise InvalidArgumentError(
            argument="delivery",
            value=terms.on_failure,
            expected="on_failure='fail'",
            hint="what a stage could not write is tried for ever, and its messages are kept by the stage before",
        )
    return terms


def open_here(sink: object) -> Path | None:
    """Return the database of a sink if this process has it open: then a forked child must not open it.

    SQLite knows within a process which locks it holds on a file, and a fork copies that knowledge without the locks:
    the child would write unprotected, and whoever closes the file here would take the child's rows away.
    """
    if not isinstance(sink, SqlTable) or sink.database is None:
        return None
    wanted: set[tuple[int, int]] = set()
    for suffix in ("", "-wal", "-shm"):
        with suppress(OSError):
            found = os.stat(f"{sink.database}{suffix}")
            wanted.add((found.st_dev, found.st_ino))
    for name in os.listdir("/dev/fd"):
        with suppress(OSError):  # the listing's own descriptor is gone by now
            status = os.fstat(int(name))
            if (status.st_dev, status.st_ino) in wanted:
                return sink.database
    return None
