"""A table of prices, as a user would keep one."""

from typing import Any

from mainspring.storage import BaseStorage


class Prices(BaseStorage):
    """One table for each test that names it."""

    def __init__(self, table: str, **options: Any) -> None:
        super().__init__(**options)
        self._table = table

    @property
    def db(self) -> str:
        return "default"

    @property
    def table(self) -> str:
        return self._table

    async def create_table(self) -> Any:
        return await self.query(
            f"CREATE TABLE IF NOT EXISTS {self.full_table_name} ("
            " id UInt64, name String, day Nullable(Date), at DateTime, twice UInt64 MATERIALIZED id * 2"
            ") ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100"
        )
