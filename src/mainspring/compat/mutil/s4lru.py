"""`mutil.s4lru`: an LRU whose new keys are on disk when `increment` returns. Keys are strings."""

from mainspring.storage import S4LRU as _S4LRU

__all__ = ("S4LRU",)


class S4LRU(_S4LRU):
    """`mainspring.storage.S4LRU` with the older spellings, in the current directory."""

    def __init__(self, name: str, capacity: int, levelCount: int = 4) -> None:  # noqa: N803  # the older spelling
        super().__init__(name, capacity, levelCount)

    def increment(self, key: str, size: int) -> bool:
        """Note one access; a new key is committed when the call returns."""
        return super().increment(key, size) or self._committed()

    def incrementBoost(self, key: str, size: int) -> bool:  # the older spelling
        """As `increment_boost`; a new key is committed when the call returns."""
        return super().increment_boost(key, size) or self._committed()

    def flushCounters(self) -> None:  # the older spelling
        """As `flush_counters`."""
        self.flush_counters()

    def evictCheck(self) -> bool:  # the older spelling
        """As `evict_check`."""
        return self.evict_check()

    def _committed(self) -> bool:
        self.flush()
        return False
