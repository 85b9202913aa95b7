"""What a request of ClickHouse's HTTP interface asks for. Pure: it is given the arguments and the first bytes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# Arguments that concern the connection, not the statement: an embedded engine has nothing to do with them.
_OF_TRANSPORT: Final = frozenset(
    {
        "buffer_size",
        "cancel_http_readonly_queries_on_client_close",
        "client_protocol_version",
        "compress",
        "decompress",
        "enable_http_compression",
        "http_headers_progress_interval_ms",
        "password",
        "query_id",
        "quota_key",
        "role",
        "send_progress_in_http_headers",
        "session_check",
        "session_id",
        "session_timeout",
        "user",
        "wait_end_of_query",
    }
)
_INSERT: Final = re.compile(rb"\s*(INSERT\s+INTO\s[^\n]*?)\s+FORMAT\s+(\w+)[ \t]*;?[ \t]*\r?(?:\n|\Z)", re.IGNORECASE)
_FORMAT: Final = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*\Z", re.IGNORECASE)
_SELECT: Final = re.compile(r"\s*(?:SELECT|WITH|\()", re.IGNORECASE)  # the engine can stream no other statement
# Formats whose blocks may be sent one after another; others have a head and a foot, and are sent whole.
_STREAMED: Final = frozenset({"Native", "TabSeparated", "TSV", "CSV", "RowBinary", "JSONEachRow"})
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class EngineCall:
    """One statement, ready for the engine.

    Attributes:
        sql: the statement without its FORMAT; without its data, if `takes_data`.
        form: the format of the answer, or of the data.
        explicit: whether the request named the format.
        takes_data: whether the rest of the body is data to insert.
        data: the beginning of that data.
        parameters: the values of `{name:Type}` in the statement.
        settings: for this statement only.
        database: the default one, None for the engine's.
    """

    sql: str
    form: str
    explicit: bool
    takes_data: bool
    data: bytes
    parameters: Mapping[str, str]
    settings: Mapping[str, str]
    database: str | None

    @property
    def streams(self) -> bool:
        """Whether its answer may be sent block by block."""
        return self.explicit and self.form in _STREAMED and _SELECT.match(self.sql) is not None


def read_call(arguments: Mapping[str, str], head: bytes) -> EngineCall:
    """Return what is asked for.

    Args:
        arguments: those of the address, or of a form.
        head: the first bytes of the body; all of it is needed unless the call turns out to take data.

    Raises:
        ValueError: a setting has no plain name.
    """
    parameters = {name[6:]: value for name, value in arguments.items() if name.startswith("param_")}
    settings: dict[str, str] = {}
    for name, value in arguments.items():
        if name in _OF_TRANSPORT or name in ("query", "database", "default_format") or name.startswith("param_"):
            continue
        if not _NAME.match(name):
            raise ValueError(f"{name!r} is no setting")
        settings[name] = value
    query = arguments.get("query", "").encode()
    insert = _INSERT.match(query or head)
    database = arguments.get("database") or None
    if insert is not None:
        data = query[insert.end() :] + head if query else head[insert.end() :]
        return EngineCall(insert[1].decode(), insert[2].decode(), True, True, data, parameters, settings, database)
    sql = b"\n".join(part for part in (query, head) if part).decode()
    named = _FORMAT.search(sql)
    form = named[1] if named else arguments.get("default_format", "TabSeparated")
    sql = sql[: named.start()] if named else sql
    return EngineCall(sql.strip(), form, named is not None, False, b"", parameters, settings, database)
