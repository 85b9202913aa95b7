"""Sinks: typed batches to their destination.

Items are routed by type to sinks; rows for a `SqlTable` are written with the run's finish, exactly once; everything
else goes through one batcher per sink, and a run ends when its own items are written.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.sinks._clickhouse_intervals import ClickHouseIntervals as ClickHouseIntervals
    from mainspring.sinks._clickhouse_table import ClickHouseTable as ClickHouseTable
    from mainspring.sinks._delivery import SPOOL_BYTES as SPOOL_BYTES
    from mainspring.sinks._delivery import Delivery as Delivery
    from mainspring.sinks._file_sink import Csv as Csv
    from mainspring.sinks._file_sink import FileSink as FileSink
    from mainspring.sinks._file_sink import JsonLines as JsonLines
    from mainspring.sinks._lanes import SinkStats as SinkStats
    from mainspring.sinks._letters import DeadLetter as DeadLetter
    from mainspring.sinks._places import PlacedSink as PlacedSink
    from mainspring.sinks._places import is_placed as is_placed
    from mainspring.sinks._replay import ask_for_replay as ask_for_replay
    from mainspring.sinks._replay import drop_letters as drop_letters
    from mainspring.sinks._session import SinkSession as SinkSession
    from mainspring.sinks._set import SinkSet as SinkSet
    from mainspring.sinks._sink import CollectingSink as CollectingSink
    from mainspring.sinks._sink import ResultSink as ResultSink
    from mainspring.sinks._sink import TransactionalBatch as TransactionalBatch
    from mainspring.sinks._sink import TransactionalSink as TransactionalSink
    from mainspring.sinks._sink import TypedSink as TypedSink
    from mainspring.sinks._sink import WriteIntent as WriteIntent
    from mainspring.sinks._sink import label_of as label_of
    from mainspring.sinks._sink import on as on
    from mainspring.sinks._spool import Spool as Spool
    from mainspring.sinks._spool import SpoolStats as SpoolStats
    from mainspring.sinks._sql_table import SqlTable as SqlTable
    from mainspring.sinks._stream import SinkStream as SinkStream
    from mainspring.sinks._stream_sink import check_stream_sink as check_stream_sink
    from mainspring.sinks._stream_sink import open_here as open_here
    from mainspring.sinks._survey import SpoolSurvey as SpoolSurvey
    from mainspring.sinks._survey import survey_spools as survey_spools
    from mainspring.sinks._tickets import SinkStatistic as SinkStatistic
    from mainspring.sinks._transaction import Collector as Collector
    from mainspring.sinks._transaction import SinkRun as SinkRun
    from mainspring.sinks._transaction import SqlTransaction as SqlTransaction
    from mainspring.sinks._transaction import StageArea as StageArea
    from mainspring.sinks._transaction import TransactionalWrite as TransactionalWrite
    from mainspring.sinks._transaction import rows_within_bound as rows_within_bound
    from mainspring.sinks._trial_collector import trial_collector as trial_collector
    from mainspring.sinks.parquet import Parquet as Parquet
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "_clickhouse_intervals": ("ClickHouseIntervals",),
            "_clickhouse_table": ("ClickHouseTable",),
            "_delivery": ("Delivery",),
            "_file_sink": ("Csv", "FileSink", "JsonLines"),
            "_lanes": ("SinkStats",),
            "_letters": ("DeadLetter",),
            "_session": ("SinkSession",),
            "_set": ("SinkSet",),
            "_sink": (
                "CollectingSink",
                "ResultSink",
                "TransactionalBatch",
                "TransactionalSink",
                "TypedSink",
                "WriteIntent",
                "on",
            ),
            "_spool": ("Spool", "SpoolStats"),
            "_sql_table": ("SqlTable",),
            "_survey": ("SpoolSurvey", "survey_spools"),
            "_tickets": ("SinkStatistic",),
            "_transaction": ("Collector", "SinkRun", "SqlTransaction", "StageArea", "TransactionalWrite"),
            "parquet": ("Parquet",),
        },
        house={
            "_replay": ("ask_for_replay", "drop_letters"),
            "_places": ("PlacedSink", "is_placed"),
            "_sink": ("label_of",),
            "_stream": ("SinkStream",),
            "_stream_sink": ("check_stream_sink", "open_here"),
            "_delivery": ("SPOOL_BYTES",),
            "_transaction": ("rows_within_bound",),
            "_trial_collector": ("trial_collector",),
        },
    )
