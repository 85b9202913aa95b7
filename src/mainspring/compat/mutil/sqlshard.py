"""`mutil.sqlshard`: the dict on disk. Files that the older library wrote are converted by `SQLShard.reshard`."""

from collections.abc import Iterator
from typing import Any  # Any: keys and values are the program's

from mainspring.storage import SQLShard as _SQLShard

__all__ = ("SQLShard",)


class SQLShard(_SQLShard):
    """`mainspring.storage.SQLShard` with the older methods."""

    def doall(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a query on every shard, side by side, and return the first row of each."""
        return self.query_all(f"SELECT * FROM ({sql.rstrip('; ')}) LIMIT 1")

    def rangeGT(self, partialKey: tuple[Any, ...]) -> Iterator[tuple[Any, Any]]:  # noqa: N803  # older spellings
        """Yield the pairs whose key begins as `partialKey` and whose part at its last place is above that one."""
        *prefix, above = partialKey
        return self.range(prefix, gt=above)

    def rangeGTLT(self, partialKey: tuple[Any, ...], maxLT: Any) -> Iterator[tuple[Any, Any]]:  # noqa: N803
        """As `rangeGT`, and that part is below `maxLT`."""
        *prefix, above = partialKey
        return self.range(prefix, gt=above, lt=maxLT)
