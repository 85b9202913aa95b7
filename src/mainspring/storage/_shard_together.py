"""What concerns several shards at once: sorting keys by shard, works side by side, rows of one after another."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast  # Any: a value is whatever JSON can say

from mainspring.errors import InvalidArgumentError
from mainspring.resilience import check_count
from mainspring.storage._shard_file import Cut, Row, ShardFile
from mainspring.storage._shard_keys import Key, Part, check_parts
from mainspring.storage._shard_layout import ShardLayout

T = TypeVar("T")

MAX_THREADS = 8


def by_shard(layout: ShardLayout, things: Iterable[T], key_of: Callable[[T], Key]) -> Iterable[tuple[int, list[T]]]:
    """Return (number of the shard, what belongs to it) pairs; the order within a shard is kept."""
    parts: defaultdict[int, list[T]] = defaultdict(list)
    place = layout.shardidx
    known: dict[Part, int] = {}  # shard parts come again: symbols, users
    for thing in things:
        key = key_of(thing)
        number = known.get(key[place])
        if number is None:
            number = known[key[place]] = layout.shard_of(key)
        parts[number].append(thing)
    return parts.items()


def pairs_of(pairs: Mapping[Any, Any] | Iterable[tuple[Key, Any]]) -> Iterable[tuple[Key, Any]]:
    """Return the pairs of what a dict may be updated with."""
    if isinstance(pairs, Mapping):
        return cast("Mapping[Key, Any]", pairs).items()  # cast: isinstance forgets the parameters
    return pairs


def run_beside(files: Sequence[ShardFile], work: Callable[[ShardFile], T]) -> list[T]:
    """Run a work on every file, in a few threads, and return the answers in the order of the files."""
    if len(files) == 1:
        return [work(files[0])]
    waiting = list(enumerate(files))
    answers: dict[int, T] = {}
    failures: list[BaseException] = []

    def work_off() -> None:
        while waiting and not failures:
            try:
                number, file = waiting.pop()
            except IndexError:  # another thread was quicker
                return
            try:
                answers[number] = work(file)
            except BaseException as error:  # noqa: BLE001  # supervisor: the error belongs to the caller
                failures.append(error)

    threads = [threading.Thread(target=work_off, name="mainspring-sqlshard") for _ in files[1:MAX_THREADS]]
    for thread in threads:
        thread.start()
    work_off()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return [answers[number] for number in range(len(files))]


def rows_of(files: Iterable[ShardFile], cut: Cut) -> Iterator[Row]:
    """Yield the rows of a cut, file after file, in pages."""
    for file in files:
        after: Key | None = ()
        while after is not None:
            page = file.read(cut.page(after or None))
            yield from page
            after = cut.next_after(page)


def check_prefix(layout: ShardLayout, prefix: Sequence[Part], bounds: Sequence[tuple[str, Part]]) -> Key:
    """Return the first parts of keys as a tuple.

    Raises:
        InvalidArgumentError: there are more than keys have, or the bounds have no part to stand on; a text is given.
    """
    _check_parts_are_several(prefix)
    start = check_parts(tuple(prefix))
    check_parts(tuple(value for _, value in bounds))
    room = layout.keylen - (1 if bounds else 0)
    if len(start) > room:
        raise InvalidArgumentError(argument="prefix", value=prefix, expected=f"at most {room} parts")
    return start


def _check_parts_are_several(prefix: object) -> None:
    """Refuse one text, whose characters would be parts."""
    if isinstance(prefix, str | bytes) or not isinstance(prefix, Iterable):
        raise InvalidArgumentError(argument="prefix", value=prefix, expected="the first parts of keys, as a tuple")


def check_column(layout: ShardLayout, column: int) -> None:
    """Refuse a number that is no part of a key.

    Raises:
        InvalidArgumentError: keys have no such part.
    """
    check_count("column", column, at_least=0, at_most=layout.keylen - 1)
