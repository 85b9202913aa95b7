"""Concurrency: doing many things at once, in threads and in worker processes."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.concurrency._child import ChildProcess as ChildProcess
    from mainspring.concurrency._child import spawn_child as spawn_child
    from mainspring.concurrency._child import spawn_module as spawn_module
    from mainspring.concurrency._child import start_child as start_child
    from mainspring.concurrency._child_main import Descriptor as Descriptor
    from mainspring.concurrency._fork_server import start_child_infrastructure as start_child_infrastructure
    from mainspring.concurrency._thread_crew import ThreadPoolStatistic as ThreadPoolStatistic
    from mainspring.concurrency._thread_pool import ThreadPoolExecutor as ThreadPoolExecutor
    from mainspring.concurrency._worker_pool import WorkerPool as WorkerPool
    from mainspring.concurrency._worker_pool import WorkerPoolStatistic as WorkerPoolStatistic
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "_thread_crew": ("ThreadPoolStatistic",),
            "_thread_pool": ("ThreadPoolExecutor",),
            "_worker_pool": ("WorkerPool", "WorkerPoolStatistic"),
        },
        house={
            "_child": ("ChildProcess", "spawn_child", "spawn_module", "start_child"),
            "_child_main": ("Descriptor",),
            "_fork_server": ("start_child_infrastructure",),
        },
    )
