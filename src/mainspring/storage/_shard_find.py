"""Many keys at once: checked by columns, sorted by shard, and looked up a hundred in a statement."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import chain
from operator import itemgetter
from typing import Any  # Any: a value is whatever JSON can say

from mainspring.base import decode_json
from mainspring.errors import DecodeError
from mainspring.storage._shard_file import Work
from mainspring.storage._shard_keys import Key, Part, check_keys, shard_of
from mainspring.storage._shard_layout import ShardLayout
from mainspring.storage._shard_values import are_plain, decode_values

GROUP = 100  # keys in one look-up; with a hundred parts each, a third of the parameters that SQLite takes
FIRST = 10  # keys in the first one of several
ROUND = 5  # look-ups are filled up to a multiple of it: to prepare one takes as long as to run it five times

_EACH = "place, data"
_JOINED = "group_concat(place), CAST(group_concat(data) AS BLOB)"

_NOTHING: Any = object()

_Answer = tuple[Sequence[int], Sequence[Any]]
"""Which of the keys of one look-up are there, by their places in it, and their values."""


class Lookup:
    """What became of many keys: each shard's work puts the values that it finds at the places of their keys.

    Works of several shards may run in several threads.
    """

    def __init__(self, layout: ShardLayout, keys: Iterable[object]) -> None:
        self._layout = layout
        self._keys = check_keys(keys, layout.keylen)
        self._nothing: list[Part | None] = [None] * layout.keylen  # a key that is found nowhere, at next to no cost
        self._values: list[Any] = [_NOTHING] * len(self._keys)

    def works(self) -> list[tuple[int, Work[None], bool]]:
        """Return (number of the shard, what to do there, whether one statement does it) triples."""
        parts = self._places_by_shard().items()
        return [(number, partial(self._find, places), len(places) <= GROUP) for number, places in parts]

    def found(self) -> dict[Key, Any]:
        """Return the values of the keys that are there, in the order of the keys, once all works are done."""
        pairs = zip(self._keys, self._values, strict=True)
        return {key: value for key, value in pairs if value is not _NOTHING}

    def _places_by_shard(self) -> Mapping[int, list[int]]:
        parts = list(map(itemgetter(self._layout.shardidx), self._keys))
        numbers = {part: shard_of(part, self._layout.shards) for part in set(parts)}  # symbols, users come again
        places: defaultdict[int, list[int]] = defaultdict(list)
        for place, number in enumerate(map(numbers.__getitem__, parts)):
            places[number].append(place)
        return places

    def _find(self, places: Sequence[int], connection: sqlite3.Connection) -> None:
        """Look up the keys at these places.

        A join with a hundred keys is some four times as fast as a hundred look-ups. When the first values are not
        compressed, SQLite joins the others of each hundred to one text, whose JSON is read in one go: a key costs
        0.3 us less then.
        """
        keys, values = self._keys, self._values
        joined = False
        start, end = 0, FIRST if len(places) > GROUP else GROUP
        while some := places[start:end]:
            parts: list[Part | None] = list(chain.from_iterable(map(keys.__getitem__, some)))
            parts += self._nothing * (-len(some) % ROUND)
            answer = self._find_joined(connection, parts, len(some)) if joined else None
            if answer is None:
                answer, plain = self._find_each(connection, parts)
                joined = plain and not start
            there, found = answer
            for place, value in zip(map(some.__getitem__, there), found, strict=True):
                values[place] = value
            start, end = end, end + GROUP

    def _find_each(self, connection: sqlite3.Connection, parts: Sequence[Part | None]) -> tuple[_Answer, bool]:
        """Look up the keys whose parts follow one another; tell whether none of their values is compressed."""
        statement = _statement(_EACH, self._layout.keylen, len(parts) // self._layout.keylen)
        rows: list[tuple[int, bytes]] = connection.execute(statement, parts).fetchall()
        many = [data for _, data in rows]
        return ([place for place, _ in rows], decode_values(many)), are_plain(many)

    def _find_joined(self, connection: sqlite3.Connection, parts: Sequence[Part | None], count: int) -> _Answer | None:
        """Do so by one row; None when that cannot be: a value is compressed, or together they are too long."""
        statement = _statement(_JOINED, self._layout.keylen, len(parts) // self._layout.keylen)
        try:
            there, data = connection.execute(statement, parts).fetchone()
            found: list[Any] = decode_json(b"[%b]" % (data or b""))
        except (DecodeError, sqlite3.DataError):
            return None
        places = range(count) if there == _all_places(count) else decode_json(f"[{there or ''}]", list[int])
        return (places, found) if len(places) == len(found) else None


@lru_cache(maxsize=GROUP)
def _all_places(count: int) -> str:
    """Return what SQLite makes of the places of so many keys when all of them are there."""
    return ",".join(map(str, range(count)))


@lru_cache(maxsize=64)
def _statement(columns: str, keylen: int, count: int) -> str:
    """Return the statement that finds so many keys; it tells which by their places."""
    marks = ", ?" * keylen
    names = [f"w_{number}" for number in range(keylen)]
    same = " AND ".join(f"key_{number} = {name}" for number, name in enumerate(names))
    wanted = ", ".join(f"({place}{marks})" for place in range(count))
    # CROSS JOIN keeps the order: each wanted key is looked up in the index
    return (
        f"WITH wanted(place, {', '.join(names)}) AS (VALUES {wanted})"
        f" SELECT {columns} FROM wanted CROSS JOIN db ON {same}"
    )
