"""A segmented LRU that survives the end of the program."""

from pathlib import Path
from types import TracebackType
from typing import Self

from mainspring.errors import InvalidArgumentError
from mainspring.storage._s4lru import SegmentedLRU
from mainspring.storage._s4lru_file import LruFile, LruRow
from mainspring.storage._sqlite_files import Durability, check_durability, is_name


class S4LRU(SegmentedLRU[str]):
    """A segmented LRU whose keys, sizes and levels lie in a SQLite file, loaded again by the same name.

    A new key is handed to the writer at once and committed with the next group, without a flush. Touches of a
    known key stay in memory until `flush_counters`. Evicted keys are deleted from the file; the data they stand
    for is yours to delete. Not thread-safe; one program at a time per name.

    Args:
        name: names the file, `sn4lru-NAME.sqlite`.
        capacity: the sum of sizes above which `evict_check` is true, at least 1.
        level_count: levels, at least 1.
        path: the directory of the file; missing ones are made with mode 0700.
        durability: what a commit survives (see `SqliteOwner`).

    Raises:
        InvalidArgumentError: a value is outside its range.
        StorageError: the file cannot be opened (see `SqliteOwner.open`).
    """

    __slots__ = ("_file", "name")

    def __init__(
        self,
        name: str,
        capacity: int,
        level_count: int = 4,
        *,
        path: str | Path = Path("."),
        durability: Durability = "process",
    ) -> None:
        super().__init__(capacity, level_count)
        check_durability(durability)
        if not is_name(name):
            raise InvalidArgumentError(argument="name", value=name, expected="a name without slashes")
        self.name = name
        self._file = LruFile(Path(path) / f"sn4lru-{name}.sqlite", durability=durability)
        for key, size, level in self._file.load():
            self.restore(key, size, level)

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return self._file.path

    def increment(self, key: str, size: int) -> bool:
        """Note one access of `key`, whose size is now `size`; return whether it was known.

        Raises:
            InvalidArgumentError: the key is no string, or the size is negative, NaN, or beyond 64 bits.
            ClosedError: the key is new and the LRU was closed.
        """
        return super().increment(key, size) or self._hand_in(key)

    def increment_boost(self, key: str, size: int) -> bool:
        """Note an access that counts for several when the key is small; return whether it was known.

        Raises:
            InvalidArgumentError: the key is no string, or the size is negative, NaN, or beyond 64 bits.
            ClosedError: the key is new and the LRU was closed.
        """
        return super().increment_boost(key, size) or self._hand_in(key)

    def evict(self) -> list[str]:
        """Forget keys until the rest fits, no more than needed; return them in the order of their going.

        Raises:
            ClosedError: the LRU was closed.
        """
        evicted = super().evict()
        for key in evicted:
            self._file.put(key, None)
        return evicted

    def discard(self, key: str) -> bool:
        """Forget a key; return whether it was known.

        Raises:
            ClosedError: the LRU was closed.
        """
        known = super().discard(key)
        if known:
            self._file.put(key, None)
        return known

    def flush_counters(self) -> None:
        """Write all touches, levels and sizes, and wait for the commit.

        Raises:
            StorageError: it cannot be written; it is tried again with the next flush.
            ClosedError: the LRU was closed.
        """
        for change in self.take_changes():
            self._file.put(change.key, LruRow(change.size, change.level, change.touches, new=False))
        self._file.flush()

    def flush(self) -> None:
        """Wait until the keys that came and went are committed; touches stay in memory.

        Raises:
            StorageError: it cannot be written; it is tried again with the next flush.
            ClosedError: the LRU was closed.
        """
        self._file.flush()

    def close(self) -> None:
        """Flush, then close the file; may be called again.

        Raises:
            StorageError: the last changes cannot be written; the file is closed all the same.
        """
        if not self._file.closed:
            try:
                self.flush_counters()
            finally:
                self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _hand_in(self, key: str) -> bool:
        if not _is_text(key):
            super().discard(key)
            raise InvalidArgumentError(argument="key", value=key, expected="a string of Unicode characters")
        size, level = self.take_new(key)
        self._file.put(key, LruRow(size, level, 0, new=True))
        return False

    def _title(self) -> str:
        return f"LRU {self.name}"


def _is_text(key: object) -> bool:
    """Tell whether SQLite can store the key as text: lone surrogates have no UTF-8."""
    try:
        return isinstance(key, str) and (key.isascii() or bool(key.encode()))
    except UnicodeEncodeError:
        return False
