"""Storage: things that stay on disk.

`SQLShard` and `AsyncSQLShard` are a dict on disk, spread over several files.

`async_open` reads and writes files, also compressed ones, without blocking the loop.

`FetchCache` keeps the answers of web servers.

`S4LRU` says which keys of a cache to keep, `SegmentedLRU` is the same without a file.

`Querier` and `BaseStorage` run statements on ClickHouse, a server or an engine of one's own, and keep tables there.

`BatchInserter` makes many small inserts into few large ones.

For the house: the SQLite owner, one writer with group commit for every part that keeps rows in a file.
"""

from typing import TYPE_CHECKING

from mainspring.base import door

if TYPE_CHECKING:
    from mainspring.storage._async_file import AsyncBinaryIO as AsyncBinaryIO
    from mainspring.storage._async_file import AsyncFileIO as AsyncFileIO
    from mainspring.storage._async_file import AsyncTextIO as AsyncTextIO
    from mainspring.storage._async_file import async_open as async_open
    from mainspring.storage._batch_inserter import BatchInserter as BatchInserter
    from mainspring.storage._batch_inserter import BatchInserterStats as BatchInserterStats
    from mainspring.storage._compression import Compression as Compression
    from mainspring.storage._engine_process import EngineProcess as EngineProcess
    from mainspring.storage._fetch_cache import FetchCache as FetchCache
    from mainspring.storage._reply import Reply as Reply
    from mainspring.storage._reply import reply_of as reply_of
    from mainspring.storage._s4lru import SegmentedLRU as SegmentedLRU
    from mainspring.storage._s4lru_saved import S4LRU as S4LRU
    from mainspring.storage._sqlite import SqliteOwner as SqliteOwner
    from mainspring.storage._sqlite import SqliteStats as SqliteStats
    from mainspring.storage._sqlite import WriteChannel as WriteChannel
    from mainspring.storage._sqlite_copy import copy_database as copy_database
    from mainspring.storage._sqlite_errors import is_busy as is_busy
    from mainspring.storage._sqlite_errors import translated as translated
    from mainspring.storage._sqlite_files import Durability as Durability
    from mainspring.storage._sqlite_files import connect as connect
    from mainspring.storage._sqlite_files import connect_reader as connect_reader
    from mainspring.storage._sqlite_files import has_file as has_file
    from mainspring.storage._sqlite_migrate import Migration as Migration
    from mainspring.storage._sqlite_reader import SqliteReader as SqliteReader
    from mainspring.storage._sqlite_runner import InlineRunner as InlineRunner
    from mainspring.storage._sqlite_runner import Runner as Runner
    from mainspring.storage._sqlite_runner import ThreadRunner as ThreadRunner
    from mainspring.storage._sqlshard import SQLShard as SQLShard
    from mainspring.storage._sqlshard_async import AsyncSQLShard as AsyncSQLShard
    from mainspring.storage.clickhouse import BaseClient as BaseClient
    from mainspring.storage.clickhouse import Querier as Querier
    from mainspring.storage.clickhouse_storage import BaseStorage as BaseStorage
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "_async_file": ("AsyncBinaryIO", "AsyncFileIO", "AsyncTextIO", "async_open"),
            "_batch_inserter": ("BatchInserter", "BatchInserterStats"),
            "_compression": ("Compression",),
            "_fetch_cache": ("FetchCache",),
            "_s4lru": ("SegmentedLRU",),
            "_s4lru_saved": ("S4LRU",),
            "_sqlshard": ("SQLShard",),
            "_sqlshard_async": ("AsyncSQLShard",),
            "clickhouse": ("BaseClient", "Querier"),
            "clickhouse_storage": ("BaseStorage",),
        },
        house={
            "_engine_process": ("EngineProcess",),
            "_reply": ("Reply", "reply_of"),
            "_sqlite": ("SqliteOwner", "SqliteStats", "WriteChannel"),
            "_sqlite_copy": ("copy_database",),
            "_sqlite_errors": ("is_busy", "translated"),
            "_sqlite_files": ("Durability", "connect", "connect_reader", "has_file"),
            "_sqlite_migrate": ("Migration",),
            "_sqlite_reader": ("SqliteReader",),
            "_sqlite_runner": ("InlineRunner", "Runner", "ThreadRunner"),
        },
    )
