"""The engine of jobs: registry, scheduler, node, backfills, needs, and the app that holds them together."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.jobs.engine._alert import Alert as Alert
    from mainspring.jobs.engine._alert import AlertChannel as AlertChannel
    from mainspring.jobs.engine._app import JobApp as JobApp
    from mainspring.jobs.engine._backfill import Backfill as Backfill
    from mainspring.jobs.engine._configs import ConfigInForce as ConfigInForce
    from mainspring.jobs.engine._context import JobContext as JobContext
    from mainspring.jobs.engine._context import RunInfo as RunInfo
    from mainspring.jobs.engine._default import job as job
    from mainspring.jobs.engine._default import job_runner as job_runner
    from mainspring.jobs.engine._definition import JobDefinition as JobDefinition
    from mainspring.jobs.engine._events import JobEvent as JobEvent
    from mainspring.jobs.engine._events import Subscription as Subscription
    from mainspring.jobs.engine._following import SpawnedRun as SpawnedRun
    from mainspring.jobs.engine._leases import HeldLease as HeldLease
    from mainspring.jobs.engine._leases import Lease as Lease
    from mainspring.jobs.engine._metrics import Histogram as Histogram
    from mainspring.jobs.engine._metrics import RunMetrics as RunMetrics
    from mainspring.jobs.engine._reader import JobReader as JobReader
    from mainspring.jobs.engine._results import BackfillProgress as BackfillProgress
    from mainspring.jobs.engine._results import RunResult as RunResult
    from mainspring.jobs.engine._results import ScheduleVersion as ScheduleVersion
    from mainspring.jobs.engine._steering import config_changes as config_changes
    from mainspring.jobs.engine._trial import EmittedItem as EmittedItem
    from mainspring.jobs.engine._trial import HandlerResult as HandlerResult
    from mainspring.jobs.engine._trial import try_handler as try_handler
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "_alert": ("Alert", "AlertChannel"),
            "_app": ("JobApp",),
            "_backfill": ("Backfill",),
            "_context": ("JobContext", "RunInfo"),
            "_default": ("job", "job_runner"),
            "_definition": ("JobDefinition",),
            "_events": ("JobEvent", "Subscription"),
            "_following": ("SpawnedRun",),
            "_leases": ("HeldLease", "Lease"),
            "_metrics": ("Histogram", "RunMetrics"),
            "_configs": ("ConfigInForce",),
            "_reader": ("JobReader",),
            "_results": ("BackfillProgress", "RunResult", "ScheduleVersion"),
            "_steering": ("config_changes",),
            "_trial": ("EmittedItem", "HandlerResult", "try_handler"),
        },
    )
