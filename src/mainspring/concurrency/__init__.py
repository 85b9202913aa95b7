"""Concurrency: doing many things at once, in threads, in worker processes, as tasks and on a beat."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.concurrency._aggregate import AggregateStatistic as AggregateStatistic
    from mainspring.concurrency._aggregate import Arg as Arg
    from mainspring.concurrency._aggregate import aggregate as aggregate
    from mainspring.concurrency._aggregate import aggregate_async as aggregate_async
    from mainspring.concurrency._any_pool import AnyPool as AnyPool
    from mainspring.concurrency._any_pool import Threads as Threads
    from mainspring.concurrency._any_pool import Workers as Workers
    from mainspring.concurrency._any_pool import kind_of_pool as kind_of_pool
    from mainspring.concurrency._any_pool import size_of_pool as size_of_pool
    from mainspring.concurrency._any_pool import threads_of as threads_of
    from mainspring.concurrency._any_pool import workers_of as workers_of
    from mainspring.concurrency._call_counts import RecurringCallbackStatistic as RecurringCallbackStatistic
    from mainspring.concurrency._child import ChildProcess as ChildProcess
    from mainspring.concurrency._child import spawn_child as spawn_child
    from mainspring.concurrency._child import spawn_module as spawn_module
    from mainspring.concurrency._child import start_child as start_child
    from mainspring.concurrency._child_main import Descriptor as Descriptor
    from mainspring.concurrency._chunks import chunk_list as chunk_list
    from mainspring.concurrency._cron_callback import CronCallback as CronCallback
    from mainspring.concurrency._forever_loop import ForeverLoop as ForeverLoop
    from mainspring.concurrency._fork_server import start_child_infrastructure as start_child_infrastructure
    from mainspring.concurrency._map_reduce import map_reduce as map_reduce
    from mainspring.concurrency._periodic import PeriodicCallback as PeriodicCallback
    from mainspring.concurrency._process_pool import ProcessPoolExecutor as ProcessPoolExecutor
    from mainspring.concurrency._process_pool import ProcessPoolStatistic as ProcessPoolStatistic
    from mainspring.concurrency._program import open_program as open_program
    from mainspring.concurrency._program import start_program as start_program
    from mainspring.concurrency._recurring import RecurringCallback as RecurringCallback
    from mainspring.concurrency._select import SelectResult as SelectResult
    from mainspring.concurrency._select import select as select
    from mainspring.concurrency._sync_wait import sync_await as sync_await
    from mainspring.concurrency._sync_wait import sync_wait_coroutine as sync_wait_coroutine
    from mainspring.concurrency._sync_wait import wait_coroutine as wait_coroutine
    from mainspring.concurrency._task_manager import TaskManager as TaskManager
    from mainspring.concurrency._task_manager import TaskPolicy as TaskPolicy
    from mainspring.concurrency._task_tools import awaitable as awaitable
    from mainspring.concurrency._task_tools import cancel_tasks as cancel_tasks
    from mainspring.concurrency._task_tools import shield as shield
    from mainspring.concurrency._thread_channel import FromThreadChannel as FromThreadChannel
    from mainspring.concurrency._thread_crew import ThreadPoolStatistic as ThreadPoolStatistic
    from mainspring.concurrency._thread_iterator import IteratorWrapper as IteratorWrapper
    from mainspring.concurrency._thread_iterator import IteratorWrapperSeparate as IteratorWrapperSeparate
    from mainspring.concurrency._thread_pool import ThreadPoolExecutor as ThreadPoolExecutor
    from mainspring.concurrency._threaded import threaded as threaded
    from mainspring.concurrency._threaded import threaded_iterable as threaded_iterable
    from mainspring.concurrency._threaded import threaded_iterable_separate as threaded_iterable_separate
    from mainspring.concurrency._threaded import threaded_separate as threaded_separate
    from mainspring.concurrency._worker_calls import WorkerCalls as WorkerCalls
    from mainspring.concurrency._worker_pool import WorkerPool as WorkerPool
    from mainspring.concurrency._worker_pool import WorkerPoolStatistic as WorkerPoolStatistic
    from mainspring.concurrency.dask_executor import DaskExecutor as DaskExecutor
    from mainspring.errors import ChannelClosed as ChannelClosed
    from mainspring.errors import ChannelTimeout as ChannelTimeout
    from mainspring.errors import ResultNotSetError as ResultNotSetError
    from mainspring.errors import StrategyException as StrategyException
    from mainspring.errors import StrategySkip as StrategySkip
    from mainspring.errors import StrategyStop as StrategyStop
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "_aggregate": (
                "AggregateStatistic",
                "Arg",
                "aggregate",
                "aggregate_async",
            ),
            "_call_counts": ("RecurringCallbackStatistic",),
            "_chunks": ("chunk_list",),
            "_cron_callback": ("CronCallback",),
            "_forever_loop": ("ForeverLoop",),
            "_map_reduce": ("map_reduce",),
            "_periodic": ("PeriodicCallback",),
            "_process_pool": ("ProcessPoolExecutor", "ProcessPoolStatistic"),
            "_recurring": ("RecurringCallback",),
            "_select": (
                "SelectResult",
                "select",
            ),
            "_sync_wait": (
                "sync_await",
                "sync_wait_coroutine",
                "wait_coroutine",
            ),
            "_task_manager": (
                "TaskManager",
                "TaskPolicy",
            ),
            "_task_tools": (
                "awaitable",
                "cancel_tasks",
                "shield",
            ),
            "_thread_channel": ("FromThreadChannel",),
            "_thread_crew": ("ThreadPoolStatistic",),
            "_thread_iterator": (
                "IteratorWrapper",
                "IteratorWrapperSeparate",
            ),
            "_thread_pool": ("ThreadPoolExecutor",),
            "_threaded": (
                "threaded",
                "threaded_iterable",
                "threaded_iterable_separate",
                "threaded_separate",
            ),
            "_worker_calls": ("WorkerCalls",),
            "_worker_pool": (
                "WorkerPool",
                "WorkerPoolStatistic",
            ),
            "dask_executor": ("DaskExecutor",),
            "mainspring.errors": (
                "ChannelClosed",
                "ChannelTimeout",
                "ResultNotSetError",
                "StrategyException",
                "StrategySkip",
                "StrategyStop",
            ),
        },
        house={
            "_any_pool": (
                "AnyPool",
                "Threads",
                "Workers",
                "kind_of_pool",
                "size_of_pool",
                "threads_of",
                "workers_of",
            ),
            "_child": (
                "ChildProcess",
                "spawn_child",
                "spawn_module",
                "start_child",
            ),
            "_child_main": ("Descriptor",),
            "_fork_server": ("start_child_infrastructure",),
            "_program": ("open_program", "start_program"),
        },
    )
