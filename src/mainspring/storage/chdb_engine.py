"""The embedded ClickHouse engine: a few connections to one folder. Every call blocks; runs in a process of its own.

The engine never ends its threads, knows one folder per process and may take the process with it when it dies: so it
is never loaded into the user's program, but into the child that `_engine_process` starts.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final  # Any: the engine's own objects

from mainspring.base import load_extra
from mainspring.errors import ClickHouseRefusedError
from mainspring.storage._engine_call import EngineCall

_CODE: Final = re.compile(r"Code: (\d+)")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement gave; `form` is None when it is none of those that give rows."""

    body: bytes
    form: str | None
    read_rows: int
    written_rows: int


class EngineConnection:
    """One connection to the engine; one statement at a time.

    Args:
        path: the folder.

    Raises:
        ClickHouseRefusedError: the folder cannot be opened, or another process has it.
    """

    def __init__(self, path: str) -> None:
        chdb: Any = load_extra("chdb", feature="the embedded ClickHouse engine", extra="chdb")
        try:
            self._connection = chdb.connect(path)
        except RuntimeError as error:
            raise refused(str(error)) from error
        self._home = self._text("SELECT currentDatabase()")
        self._database = self._home

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    def timezone(self) -> str:
        """Return the zone in which the engine reads and writes times without one."""
        return self._text("SELECT timezone()")

    def prepare(self, call: EngineCall) -> None:
        """Turn to the call's database and settings."""
        database = call.database or self._home
        if database != self._database:
            self._query(f"USE {_quoted(database, '`')}")
            self._database = database
        if call.settings:
            values = (f"{name} = {_quoted(value, chr(39))}" for name, value in call.settings.items())
            self._query(f"SET {', '.join(values)}")

    def restore(self, settings: Mapping[str, str]) -> None:
        """Undo what `prepare` set."""
        self._query(f"SET {', '.join(f'{name} = DEFAULT' for name in settings)}")

    def answer(self, call: EngineCall) -> Answer:
        """Carry out a statement; the answer is in memory as a whole."""
        if call.explicit:
            result = self._query(call.sql, call.form, call.parameters)
            return Answer(bytes(result.bytes() or b""), call.form, result.rows_read(), result.rows_written())
        # With names, every statement that gives rows gives a first line: so one that gives none is told apart.
        result = self._query(call.sql, "TabSeparatedWithNames", call.parameters)
        body = bytes(result.bytes() or b"")
        form = "TabSeparated" if body else None
        return Answer(body.partition(b"\n")[2], form, result.rows_read(), result.rows_written())

    def stream(self, call: EngineCall) -> Iterator[bytes]:
        """Yield the answer block by block; a statement without rows gives the names and types of its columns."""
        try:
            stream = self._connection.send_query(call.sql, call.form, params=dict(call.parameters))
            empty = True
            try:
                while (block := stream.fetch()) is not None and (data := bytes(block.bytes() or b"")):
                    empty = False
                    yield data
            finally:
                stream.close()
        except RuntimeError as error:
            raise refused(str(error)) from error
        if empty and call.form == "Native":
            yield self._columns(call)

    def inserter(self, call: EngineCall) -> "Inserter":
        """Begin an insert."""
        try:
            return Inserter(self._connection.send_insert(call.sql, call.form))
        except RuntimeError as error:
            raise refused(str(error)) from error

    def _columns(self, call: EngineCall) -> bytes:
        """Return a block of no rows, as a server sends it where the engine sends nothing."""
        described = self._query(f"DESCRIBE ({call.sql})", "TabSeparated", call.parameters)
        columns = [line.split("\t")[:2] for line in bytes(described.bytes() or b"").decode().splitlines()]
        texts = [_unescaped(text).encode() for column in columns for text in column]
        return b"".join((_varint(len(columns)), _varint(0), *(_varint(len(text)) + text for text in texts)))

    def _text(self, sql: str) -> str:
        return bytes(self._query(sql).bytes()).decode().strip()

    def _query(self, sql: str, form: str = "TabSeparated", parameters: Mapping[str, str] | None = None) -> Any:
        try:
            return self._connection.query(sql, form, params=dict(parameters or {}))
        except RuntimeError as error:
            raise refused(str(error)) from error


class Inserter:
    """An insert in progress; rows that were sent before a failure may be there already."""

    def __init__(self, inserter: Any) -> None:
        self._inserter = inserter

    def append(self, data: bytes) -> None:
        """Send the next piece."""
        try:
            self._inserter.append(data)
        except RuntimeError as error:
            raise refused(str(error)) from error

    def finish(self) -> int:
        """Return how many rows the insert had, once they are written."""
        try:
            return int(self._inserter.finish().rows_written)
        except RuntimeError as error:
            raise refused(str(error)) from error

    def cancel(self) -> None:
        """Give it up."""
        self._inserter.cancel()


def refused(message: str) -> ClickHouseRefusedError:
    """Return the error for what the engine says."""
    found = _CODE.search(message)
    reason = message[found.start() :] if found else message
    return ClickHouseRefusedError(store="the engine", reason=reason, code=int(found[1]) if found else 0)


def _quoted(text: str, quote: str) -> str:
    escaped = text.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    return f"{quote}{escaped}{quote}"


def _unescaped(text: str) -> str:
    return text.replace("\\'", "'").replace("\\\\", "\\")


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
