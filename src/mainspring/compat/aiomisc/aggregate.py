"""`aiomisc.aggregate`."""

from mainspring.concurrency import AggregateStatistic, Arg, ResultNotSetError, aggregate, aggregate_async

__all__ = ("AggregateStatistic", "Arg", "ResultNotSetError", "aggregate", "aggregate_async")
