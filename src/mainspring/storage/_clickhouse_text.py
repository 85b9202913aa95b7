"""ClickHouse statements and names, as text."""

import re
from typing import Final

_COMMENTS: Final = re.compile(r"(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/)+", re.DOTALL)
_GIVES_ROWS: Final = re.compile(
    r"(?:SELECT|WITH|SHOW|DESCRIBE|DESC|EXPLAIN|EXISTS|CHECK|VALUES|FROM)\b|\(", re.IGNORECASE
)
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def gives_rows(sql: str) -> bool:
    """Tell whether a statement only reads; anything else is a command."""
    comments = _COMMENTS.match(sql)
    return _GIVES_ROWS.match(sql, comments.end() if comments else 0) is not None


def quoted(name: str) -> str:
    """Return a name as it may stand in a statement; a plain one stays as it is."""
    if _PLAIN.match(name):
        return name
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"
