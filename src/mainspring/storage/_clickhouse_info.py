"""What ClickHouse tells about a table, and DataFrames on their way into one."""

from collections.abc import Sequence
from typing import Any, Final  # Any: pandas' objects

from mainspring.base import load_extra
from mainspring.storage._clickhouse_values import Convert

NOT_INSERTABLE: Final = frozenset({"ALIAS", "MATERIALIZED"})

TABLE: Final = """
SELECT
    database, name, uuid, engine, data_paths, metadata_path, create_table_query, partition_key, sorting_key,
    primary_key, total_rows, formatReadableSize(total_bytes) AS total_bytes,
    formatReadableSize(total_bytes_uncompressed) AS total_bytes_uncompressed, parts, active_parts, total_marks, comment
FROM system.tables
WHERE database = {db:String} AND name = {table:String}
"""

PARTS: Final = """
SELECT
    name AS part_name, partition, part_type, path, formatReadableQuantity(rows) AS rows,
    formatReadableSize(data_uncompressed_bytes) AS data_uncompressed_bytes,
    formatReadableSize(data_compressed_bytes) AS data_compressed_bytes,
    formatReadableSize(primary_key_bytes_in_memory) AS primary_key_bytes_in_memory, marks,
    formatReadableSize(bytes_on_disk) AS bytes_on_disk, modification_time, disk_name
FROM system.parts
WHERE active AND database = {db:String} AND table = {table:String}
ORDER BY part_name
"""

COLUMNS: Final = """
SELECT
    name AS column, any(type) AS type,
    if(sum(data_compressed_bytes) = 0, NULL, formatReadableSize(sum(data_compressed_bytes))) AS compressed_size,
    if(sum(data_compressed_bytes) = 0, NULL, formatReadableSize(sum(data_uncompressed_bytes))) AS uncompressed_size,
    if(sum(data_compressed_bytes) = 0, NULL,
        round(sum(data_uncompressed_bytes) / sum(data_compressed_bytes), 2)) AS ratio
FROM system.columns
WHERE database = {db:String} AND table = {table:String}
GROUP BY name
ORDER BY min(position)
"""


def with_moments_in(df: Any, converters: Sequence[Convert | None]) -> Any:
    """Return a frame without texts in columns of dates; the same one when there was none.

    Raises:
        InvalidArgumentError: a text is neither a date nor a time in ISO 8601.
    """
    pandas: Any = load_extra("pandas", feature="a DataFrame", extra="pandas")
    changed = df
    for column, convert in zip(df.columns, converters, strict=False):
        if convert is None or not any(isinstance(value, str) for value in df[column]):
            continue
        values = [convert(value) if isinstance(value, str) else value for value in df[column]]
        changed = changed.assign(**{column: pandas.Series(values, dtype=object, index=df.index)})
    return changed
