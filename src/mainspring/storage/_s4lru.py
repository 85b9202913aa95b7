"""A segmented LRU: which keys of a cache to keep, decided by how often and how recently they were touched.

Keys live in levels. A new key enters at the head of level 0; each touch moves it to the head of the next level.
Eviction first brings every upper level back to its share of the capacity, demoting tails to the head of the
level below, then drops tails of level 0 until the whole fits again. A key that is seen once never pushes out
one that is seen often, so a scan leaves the cache as it was.

Every access costs the same whatever the number of keys: a promotion is one move, and each demotion undoes one
promotion. Nothing here knows about disks or loops.

Source: Huang et al., "An Analysis of Facebook Photo Caching", SOSP 2013, section 6.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

from mainspring.errors import InvalidArgumentError
from mainspring.resilience import check_count

K = TypeVar("K", bound=Hashable)

MIB = 2**20
_LARGEST = 2**63 - 1  # that a file can hold
_BOOSTS = ((1 * MIB, 4), (2 * MIB, 3), (3 * MIB, 2))

# A node is [level, size, touches since the last `take_changes`, level that was last taken]: a list, because
# attribute access would cost a third of an increment.
_LEVEL, _SIZE, _TOUCHES, _TAKEN = range(4)


class LruChange(NamedTuple, Generic[K]):
    """What became of a key since the changes were last taken; `touches` counts only what is new."""

    key: K
    size: int
    level: int
    touches: int


class SegmentedLRU(Generic[K]):
    """Keeps sizes and levels of keys and says which to evict; the values are the caller's.

    Not thread-safe.

    Args:
        capacity: the sum of sizes above which `evict_check` is true, at least 1.
        level_count: levels, at least 1; with one level it is a plain LRU.

    Raises:
        InvalidArgumentError: a value is outside its range.

    >>> lru = SegmentedLRU[str](capacity=20)
    >>> [lru.increment(key, 10) for key in ("a", "b", "a", "c")]
    [False, False, True, False]
    >>> lru.evict()
    ['b']
    """

    __slots__ = (
        "_downwards",
        "_levels",
        "_lowest",
        "_nodes",
        "_share",
        "_sizes",
        "_top",
        "_uneven",
        "capacity",
        "size",
    )

    size: int
    """The sum of the sizes of all keys."""

    def __init__(self, capacity: int, level_count: int = 4) -> None:
        check_count("capacity", capacity)
        check_count("level_count", level_count)
        self.capacity = capacity
        self.size = 0
        self._top = level_count - 1
        self._share = capacity // level_count
        self._downwards = tuple(range(self._top, 0, -1))
        self._nodes: dict[K, list[int]] = {}
        self._levels: tuple[OrderedDict[K, list[int]], ...] = tuple(OrderedDict() for _ in range(level_count))
        self._lowest = self._levels[0]
        self._sizes = [0] * level_count  # but level 0 has what the others leave of the size
        self._uneven = False  # whether an upper level may have grown since the last eviction

    def increment(self, key: K, size: int) -> bool:
        """Note one access of `key`, whose size is now `size`; return whether it was known.

        Raises:
            InvalidArgumentError: the size is negative, NaN, or beyond 64 bits.
        """
        node = self._nodes.get(key)
        if node is None:
            # What `_insert` does: a call would cost a fifth of the access.
            if not 0 <= size <= _LARGEST:
                raise InvalidArgumentError(argument="size", value=size, expected="0 to 2**63 - 1")
            self._nodes[key] = self._lowest[key] = [0, size, 0, -1]
            self.size += size
            return False
        if size != node[1]:
            self._resize(node, size)
        node[2] += 1
        level = node[0]
        levels = self._levels
        if level == self._top:
            levels[level].move_to_end(key)
            return True
        del levels[level][key]
        sizes = self._sizes
        if level:
            sizes[level] -= size
        node[0] = level = level + 1
        levels[level][key] = node
        sizes[level] += size
        self._uneven = True
        return True

    def increment_boost(self, key: K, size: int) -> bool:
        """Note an access that counts for several when the key is small; return whether it was known.

        Below 1 MiB it counts for 4, below 2 MiB for 3, below 3 MiB for 2, else for 1.

        Raises:
            InvalidArgumentError: the size is negative, NaN, or beyond 64 bits.
        """
        jump = next((jump for limit, jump in _BOOSTS if size < limit), 1)
        node = self._nodes.get(key)
        if node is None:
            self._insert(key, size, min(jump - 1, self._top))
            return False
        if size != node[_SIZE]:
            self._resize(node, size)
        node[_TOUCHES] += 1
        self._move(key, node, min(node[_LEVEL] + jump, self._top))
        return True

    def touch_many(self, keys: Iterable[K]) -> list[K]:
        """Note one access for each known key, in order; return those that are unknown, which stay so."""
        get, levels, sizes, top = self._nodes.get, self._levels, self._sizes, self._top
        to_head = levels[top].move_to_end
        unknown: list[K] = []
        self._uneven = True
        for key in keys:
            node = get(key)
            if node is None:
                unknown.append(key)
                continue
            node[2] += 1
            level = node[0]
            if level == top:
                to_head(key)
                continue
            # The same steps as in `increment`: a call for each key would halve the rate.
            del levels[level][key]
            size = node[1]
            if level:
                sizes[level] -= size
            node[0] = level = level + 1
            levels[level][key] = node
            sizes[level] += size
        return unknown

    def evict_check(self) -> bool:
        """Tell whether the sizes add up to more than the capacity."""
        return self.size > self.capacity

    def evict(self) -> list[K]:
        """Forget keys until the rest fits, no more than needed; return them in the order of their going."""
        sizes = self._sizes
        if self._uneven:  # after most misses it is not, and to look at each level would cost a fifth of the eviction
            self._uneven = False
            for level in self._downwards:
                if sizes[level] > self._share:
                    self._shrink(level)
        # invariant: now all levels above 0 fit into the capacity, so level 0 holds whatever is too much
        evicted: list[K] = []
        size = self.size
        while size > self.capacity:
            key, node = self._lowest.popitem(False)
            del self._nodes[key]
            size -= node[1]
            evicted.append(key)
        self.size = size
        return evicted

    def discard(self, key: K) -> bool:
        """Forget a key; return whether it was known."""
        node = self._nodes.pop(key, None)
        if node is None:
            return False
        del self._levels[node[_LEVEL]][key]
        self._resize(node, 0)
        return True

    def restore(self, key: K, size: int, level: int) -> None:
        """Put a key at the head of a level, or of the highest one; its state counts as taken.

        Raises:
            InvalidArgumentError: the size or the level is negative.
        """
        if level < 0:
            raise InvalidArgumentError(argument="level", value=level, expected="at least 0")
        self.discard(key)
        node = self._insert(key, size, min(level, self._top))
        node[_TAKEN] = node[_LEVEL]

    def take_changes(self) -> Iterator[LruChange[K]]:
        """Yield the keys that were touched, moved or resized since they were last taken."""
        for key, node in self._nodes.items():
            if node[_TOUCHES] or node[_TAKEN] != node[_LEVEL]:
                yield LruChange(key, node[_SIZE], node[_LEVEL], node[_TOUCHES])
                node[_TOUCHES], node[_TAKEN] = 0, node[_LEVEL]

    def take_new(self, key: K) -> tuple[int, int]:
        """Return the size and the level of a new key; it counts as taken."""
        node = self._nodes[key]
        node[_TAKEN] = node[_LEVEL]
        return node[_SIZE], node[_LEVEL]

    def levels(self) -> list[list[tuple[K, int]]]:
        """Return the (key, size) pairs of each level, lowest level first, most recent key first."""
        return [[(key, self._nodes[key][_SIZE]) for key in reversed(level)] for level in self._levels]

    @property
    def count(self) -> int:
        """How many keys there are."""
        return len(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, key: object) -> bool:
        return key in self._nodes

    def __iter__(self) -> Iterator[K]:
        return iter(self._nodes)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} capacity {self.capacity}; size {self.size}; count {len(self._nodes)}>"

    def repr(self, msg: str = "", logger: Callable[[str], object] = print) -> None:
        """Write the whole state line by line to `logger`, `msg` as its title."""
        if msg:
            logger(f"============== {msg} ==============")
        logger(f"{self._title()} capacity {self.capacity:,}; size {self.size:,}; count {len(self._nodes):,}")
        for number, level in enumerate(self.levels()):
            size = self._sizes[number] if number else self.size - sum(self._sizes)
            logger(f"[{number}] size {size:,} count {len(level):,}")
            for key, size in level:
                logger(f"[{number}] {number} {size:,} {key}")

    def _title(self) -> str:
        return "LRU"

    def _insert(self, key: K, size: int, level: int) -> list[int]:
        if not 0 <= size <= _LARGEST:
            raise InvalidArgumentError(argument="size", value=size, expected="0 to 2**63 - 1")
        self._uneven = True
        node = self._nodes[key] = self._levels[level][key] = [level, size, 0, -1]
        if level:
            self._sizes[level] += size
        self.size += size
        return node

    def _resize(self, node: list[int], size: int) -> None:
        if not 0 <= size <= _LARGEST:
            raise InvalidArgumentError(argument="size", value=size, expected="0 to 2**63 - 1")
        self._uneven = True
        if node[_LEVEL]:
            self._sizes[node[_LEVEL]] += size - node[_SIZE]
        self.size += size - node[_SIZE]
        node[_SIZE] = size

    def _move(self, key: K, node: list[int], level: int) -> None:
        self._uneven = True
        before, size = node[_LEVEL], node[_SIZE]
        del self._levels[before][key]
        if before:
            self._sizes[before] -= size
        self._levels[level][key] = node
        if level:
            self._sizes[level] += size
        node[_LEVEL] = level

    def _shrink(self, level: int) -> None:
        """Demote the tail of a level until it is within its share."""
        high, low, sizes = self._levels[level], self._levels[level - 1], self._sizes
        while sizes[level] > self._share:
            key, node = high.popitem(False)
            node[_LEVEL] = level - 1
            low[key] = node
            sizes[level] -= node[_SIZE]
            if level > 1:
                sizes[level - 1] += node[_SIZE]
