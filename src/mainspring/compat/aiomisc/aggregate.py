"""`aiomisc.aggregate`."""

from mainspring.concurrency import Arg, ResultNotSetError, aggregate, aggregate_async

__all__ = ("Arg", "ResultNotSetError", "aggregate", "aggregate_async")
