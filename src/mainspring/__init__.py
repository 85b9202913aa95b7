"""mainspring: write and run asynchronous data services in Python.

The names used most, from all rooms. Each is imported when it is first used.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.base import Backoff as Backoff
    from mainspring.base import __version__ as __version__
    from mainspring.base import current_clock as current_clock
    from mainspring.base import get_statistics as get_statistics
    from mainspring.base import new_id as new_id
    from mainspring.concurrency import CronCallback as CronCallback
    from mainspring.concurrency import PeriodicCallback as PeriodicCallback
    from mainspring.concurrency import TaskManager as TaskManager
    from mainspring.concurrency import ThreadPoolExecutor as ThreadPoolExecutor
    from mainspring.concurrency import WorkerPool as WorkerPool
    from mainspring.concurrency import aggregate as aggregate
    from mainspring.concurrency import threaded as threaded
    from mainspring.dataflow import Dataflow as Dataflow
    from mainspring.dataflow import Runner as Runner
    from mainspring.errors import CircuitBroken as CircuitBroken
    from mainspring.errors import MainspringError as MainspringError
    from mainspring.jobs import Cron as Cron
    from mainspring.jobs import DataInterval as DataInterval
    from mainspring.jobs import Every as Every
    from mainspring.jobs import JobApp as JobApp
    from mainspring.jobs import JobContext as JobContext
    from mainspring.jobs import RunState as RunState
    from mainspring.jobs import job as job
    from mainspring.jobs import job_runner as job_runner
    from mainspring.resilience import CircuitBreaker as CircuitBreaker
    from mainspring.resilience import PoolBase as PoolBase
    from mainspring.resilience import RateLimit as RateLimit
    from mainspring.resilience import asyncbackoff as asyncbackoff
    from mainspring.resilience import asyncretry as asyncretry
    from mainspring.resilience import cutout as cutout
    from mainspring.resilience import retry as retry
    from mainspring.resilience import timeout as timeout
    from mainspring.runtime import Context as Context
    from mainspring.runtime import Resource as Resource
    from mainspring.runtime import Service as Service
    from mainspring.runtime import Signal as Signal
    from mainspring.runtime import entrypoint as entrypoint
    from mainspring.runtime import get_context as get_context
    from mainspring.runtime import new_event_loop as new_event_loop
    from mainspring.runtime import receiver as receiver
    from mainspring.runtime import resource as resource
    from mainspring.runtime import run as run
    from mainspring.sinks import SqlTable as SqlTable
    from mainspring.tools import ConfigLoader as ConfigLoader
    from mainspring.tools import Notifier as Notifier
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "mainspring.base": ("Backoff", "current_clock", "get_statistics", "new_id"),
            "mainspring.concurrency": (
                "CronCallback",
                "PeriodicCallback",
                "TaskManager",
                "ThreadPoolExecutor",
                "WorkerPool",
                "aggregate",
                "threaded",
            ),
            "mainspring.dataflow": ("Dataflow", "Runner"),
            "mainspring.errors": ("CircuitBroken", "MainspringError"),
            "mainspring.jobs": (
                "Cron",
                "DataInterval",
                "Every",
                "JobApp",
                "JobContext",
                "RunState",
                "job",
                "job_runner",
            ),
            "mainspring.resilience": (
                "CircuitBreaker",
                "PoolBase",
                "RateLimit",
                "asyncbackoff",
                "asyncretry",
                "cutout",
                "retry",
                "timeout",
            ),
            "mainspring.runtime": (
                "Context",
                "Resource",
                "Service",
                "Signal",
                "entrypoint",
                "get_context",
                "new_event_loop",
                "receiver",
                "resource",
                "run",
            ),
            "mainspring.sinks": ("SqlTable",),
            "mainspring.tools": ("ConfigLoader", "Notifier"),
        },
        house={"mainspring.base": ("__version__",)},
    )
