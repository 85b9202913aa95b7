"""`mutil.dualcache`: a dict in memory that is kept on disk. Values are JSON: nothing is ever unpickled."""

import asyncio
import shutil
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from contextlib import suppress
from pathlib import Path
from typing import Any

from mainspring.storage import SQLShard

__all__ = ("DualCache",)


class DualCache:
    """Reads from memory, writes to memory and disk; all of it is loaded at the start.

    Args:
        name: with `prefix` (default `./cache-`) the directory; blanks become hyphens.
        prefix: what the directory's name begins with.
    """

    def __init__(self, name: str, prefix: str | None = None) -> None:
        self.name = name
        self.path = Path(f"{prefix or './cache-'}{name.replace(' ', '-')}")
        self._disk = SQLShard(1, self.path, keylen=1, shardidx=0)
        self._memory: dict[Any, Any] = {key[0]: value for key, value in self._disk.items()}
        self._locks: dict[Any, asyncio.Lock] = {}

    def __getitem__(self, key: Any) -> Any:
        return self._memory[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._disk[key,] = value
        self._memory[key] = value

    def __delitem__(self, key: Any) -> None:
        del self._memory[key]
        del self._disk[key,]

    def __contains__(self, key: object) -> bool:
        return key in self._memory

    def __len__(self) -> int:
        return len(self._memory)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._memory)

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value in memory, or the default."""
        return self._memory.get(key, default)

    def iterkeys(self) -> Iterator[Any]:
        """Return the keys one by one."""
        return iter(self._memory)

    def keys(self) -> KeysView[Any]:
        """Return the keys."""
        return self._memory.keys()

    def values(self) -> ValuesView[Any]:
        """Return the values."""
        return self._memory.values()

    def items(self) -> ItemsView[Any, Any]:
        """Return keys and values."""
        return self._memory.items()

    def checkDisk(self, key: Any) -> Any:
        """Look on the disk for what another process may have written, keep it, and return it; None without."""
        found = self._disk.get((key,))
        if found is not None:
            self._memory[key] = found
        return found

    def clear(self) -> None:
        """Forget everything, on disk too."""
        self._memory.clear()
        self._disk.clear()

    async def lock(self, key: Any) -> None:
        """Wait until nobody holds the key, then hold it. One at a time."""
        await self._locks.setdefault(key, asyncio.Lock()).acquire()

    def locked(self, key: Any) -> bool:
        """Tell whether somebody holds the key."""
        return key in self._locks and self._locks[key].locked()

    def unlock(self, key: Any) -> None:
        """Let the next one hold the key."""
        self._locks[key].release()

    def close(self) -> None:
        """Close the file; what was written stays."""
        self._disk.close()

    def destroy(self) -> None:
        """Close the cache and delete what it keeps, and its directory if nothing else is in there."""
        self.close()
        self._memory.clear()
        for made in self.path.glob("sqlshard*"):
            shutil.rmtree(made) if made.is_dir() else made.unlink()
        with suppress(OSError):  # it is not empty
            self.path.rmdir()
