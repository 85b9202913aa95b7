"""`aiomisc`, over mainspring: the same names and calls. What differs is listed in the manual, under Migration.

Submodules that share their name with an object are loaded here, before the object takes the name.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.base import Statistic as Statistic
    from mainspring.base import get_statistics as get_statistics
    from mainspring.compat.aiomisc import io as io
    from mainspring.compat.aiomisc import log as log
    from mainspring.compat.aiomisc import service as service
    from mainspring.compat.aiomisc import version as version
    from mainspring.compat.aiomisc.aggregate import aggregate as aggregate
    from mainspring.compat.aiomisc.aggregate import aggregate_async as aggregate_async
    from mainspring.compat.aiomisc.backoff import asyncbackoff as asyncbackoff
    from mainspring.compat.aiomisc.backoff import asyncretry as asyncretry
    from mainspring.compat.aiomisc.circuit_breaker import CircuitBreaker as CircuitBreaker
    from mainspring.compat.aiomisc.circuit_breaker import CircuitBroken as CircuitBroken
    from mainspring.compat.aiomisc.circuit_breaker import cutout as cutout
    from mainspring.compat.aiomisc.context_vars import CURRENT_ENTRYPOINT as CURRENT_ENTRYPOINT
    from mainspring.compat.aiomisc.entrypoint import Entrypoint as Entrypoint
    from mainspring.compat.aiomisc.entrypoint import entrypoint as entrypoint
    from mainspring.compat.aiomisc.entrypoint import run as run
    from mainspring.compat.aiomisc.iterator_wrapper import FromThreadChannel as FromThreadChannel
    from mainspring.compat.aiomisc.iterator_wrapper import IteratorWrapper as IteratorWrapper
    from mainspring.compat.aiomisc.iterator_wrapper import IteratorWrapperSeparate as IteratorWrapperSeparate
    from mainspring.compat.aiomisc.log import basic_config as basic_config
    from mainspring.compat.aiomisc.plugins import plugins as plugins
    from mainspring.compat.aiomisc.pool import PoolBase as PoolBase
    from mainspring.compat.aiomisc.process_pool import ProcessPoolExecutor as ProcessPoolExecutor
    from mainspring.compat.aiomisc.thread_pool import ThreadPoolExecutor as ThreadPoolExecutor
    from mainspring.compat.aiomisc.thread_pool import context_partial as context_partial
    from mainspring.compat.aiomisc.thread_pool import sync_await as sync_await
    from mainspring.compat.aiomisc.thread_pool import sync_wait_coroutine as sync_wait_coroutine
    from mainspring.compat.aiomisc.thread_pool import threaded as threaded
    from mainspring.compat.aiomisc.thread_pool import threaded_iterable as threaded_iterable
    from mainspring.compat.aiomisc.thread_pool import threaded_iterable_separate as threaded_iterable_separate
    from mainspring.compat.aiomisc.thread_pool import threaded_separate as threaded_separate
    from mainspring.compat.aiomisc.thread_pool import wait_coroutine as wait_coroutine
    from mainspring.compat.aiomisc.timeout import timeout as timeout
    from mainspring.compat.aiomisc.utils import SelectResult as SelectResult
    from mainspring.compat.aiomisc.utils import awaitable as awaitable
    from mainspring.compat.aiomisc.utils import bind_socket as bind_socket
    from mainspring.compat.aiomisc.utils import cancel_tasks as cancel_tasks
    from mainspring.compat.aiomisc.utils import chunk_list as chunk_list
    from mainspring.compat.aiomisc.utils import new_event_loop as new_event_loop
    from mainspring.compat.aiomisc.utils import select as select
    from mainspring.compat.aiomisc.utils import shield as shield
    from mainspring.compat.aiomisc.version import __version__ as __version__
    from mainspring.compat.aiomisc.version import version_info as version_info
    from mainspring.compat.aiomisc.worker_pool import WorkerPool as WorkerPool
    from mainspring.concurrency import CronCallback as CronCallback
    from mainspring.concurrency import PeriodicCallback as PeriodicCallback
    from mainspring.concurrency import RecurringCallback as RecurringCallback
    from mainspring.concurrency import StrategyException as StrategyException
    from mainspring.concurrency import StrategySkip as StrategySkip
    from mainspring.concurrency import StrategyStop as StrategyStop
    from mainspring.runtime import Context as Context
    from mainspring.runtime import Service as Service
    from mainspring.runtime import Signal as Signal
    from mainspring.runtime import get_context as get_context
    from mainspring.runtime import receiver as receiver
else:
    from mainspring.base import door
    from mainspring.compat.aiomisc import io as io
    from mainspring.compat.aiomisc import log as log
    from mainspring.compat.aiomisc import service as service
    from mainspring.compat.aiomisc import version as version
    from mainspring.compat.aiomisc.aggregate import aggregate as aggregate
    from mainspring.compat.aiomisc.entrypoint import entrypoint as entrypoint
    from mainspring.compat.aiomisc.plugins import plugins as plugins
    from mainspring.compat.aiomisc.timeout import timeout as timeout

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "backoff": ("asyncbackoff", "asyncretry"),
            "circuit_breaker": ("CircuitBreaker", "CircuitBroken", "cutout"),
            "aggregate": (
                "aggregate",
                "aggregate_async",
            ),
            "iterator_wrapper": (
                "FromThreadChannel",
                "IteratorWrapper",
                "IteratorWrapperSeparate",
            ),
            "thread_pool": (
                "ThreadPoolExecutor",
                "context_partial",
                "sync_await",
                "sync_wait_coroutine",
                "threaded",
                "threaded_iterable",
                "threaded_iterable_separate",
                "threaded_separate",
                "wait_coroutine",
            ),
            "mainspring.concurrency": (
                "CronCallback",
                "PeriodicCallback",
                "RecurringCallback",
                "StrategyException",
                "StrategySkip",
                "StrategyStop",
            ),
            "context_vars": ("CURRENT_ENTRYPOINT",),
            "plugins": ("plugins",),
            "version": ("__version__", "version_info"),
            "process_pool": ("ProcessPoolExecutor",),
            "worker_pool": ("WorkerPool",),
            "entrypoint": ("Entrypoint", "entrypoint", "run"),
            "log": ("basic_config",),
            "mainspring.compat.aiomisc": ("io", "log", "service", "version"),
            "mainspring.base": ("Statistic", "get_statistics"),
            "mainspring.runtime": ("Context", "Service", "Signal", "get_context", "receiver"),
            "pool": ("PoolBase",),
            "timeout": ("timeout",),
            "utils": (
                "new_event_loop",
                "SelectResult",
                "awaitable",
                "bind_socket",
                "cancel_tasks",
                "chunk_list",
                "select",
                "shield",
            ),
        },
    )
