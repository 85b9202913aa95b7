"""A week of prices in an embedded ClickHouse: inserted in blocks, read back as candles.

pip install "mainspring[chdb]"
python examples/candles.py
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from mainspring.storage import BaseStorage

MONDAY = datetime(2024, 1, 1, tzinfo=UTC)


class Prices(BaseStorage):
    """Where prices are kept."""

    @property
    def db(self) -> str:
        return "default"

    @property
    def table(self) -> str:
        return "prices"

    async def create_table(self) -> Any:
        return await self.query(
            f"CREATE OR REPLACE TABLE {self.full_table_name} (at DateTime('UTC'), symbol String, amount Float64)"
            " ENGINE = MergeTree ORDER BY (symbol, at)"
        )


async def main() -> None:
    async with Prices(path="candles.clickhouse") as prices:  # with host="..." on a server
        await prices.create_table()
        async with prices.inserter(["at", "symbol", "amount"], max_rows=2_000) as inserter:
            await inserter.add_many(
                (MONDAY + timedelta(minutes=minute), "ACME", 100 + minute % 1440 / 10) for minute in range(7 * 24 * 60)
            )
        result = await prices.query(
            "SELECT toDate(at) AS day, argMin(amount, at), max(amount), min(amount), argMax(amount, at)"
            " FROM prices GROUP BY day ORDER BY day"
        )
        for day, first, highest, lowest, last in result.result_rows:
            print(f"{day}  open {first:.2f}  high {highest:.2f}  low {lowest:.2f}  close {last:.2f}")


if __name__ == "__main__":
    asyncio.run(main())
