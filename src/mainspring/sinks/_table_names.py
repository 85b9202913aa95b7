"""Which names a table of rows may have."""

import re
from typing import Final

from mainspring.errors import InvalidArgumentError

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_TAKEN_PREFIXES: Final = ("sqlite_", "_mainspring")

STORE_TABLES: Final = frozenset(
    {
        "backfill",
        "config",
        "counter",
        "done",
        "epoch",
        "event",
        "history",
        "idempotency",
        "job",
        "joined",
        "meta",
        "run",
        "stage",
        "tally",
    }
)
"""The tables of the job store, refused at once; what a newer schema adds is refused when rows are written."""


def is_plain(name: str) -> bool:
    """Tell whether a name needs no care in any SQL dialect."""
    return _PLAIN.fullmatch(name) is not None


def _is_plain_text(name: object) -> bool:
    return isinstance(name, str) and is_plain(name)


def check_table_name(name: str, *, in_store: bool) -> None:
    """Refuse a name that is not plain, or that belongs to the job store or to SQLite.

    Raises:
        InvalidArgumentError: what is wrong with it.
    """
    if not _is_plain_text(name):
        raise InvalidArgumentError(argument="table", value=name, expected="letters, digits and _, at most 63")
    lowered = name.lower()
    if lowered.startswith(_TAKEN_PREFIXES) or lowered == "stage" or (in_store and lowered in STORE_TABLES):
        raise InvalidArgumentError(
            argument="table",
            value=name,
            expected="a name that is not one of the job store's own tables",
            hint=f"call it {name}_rows, or keep it in a database of its own (database=)",
        )
