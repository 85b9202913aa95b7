"""Jobs: scheduled and recorded work with exact data intervals, retries, backfill and dependencies."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.jobs.engine import Alert as Alert
    from mainspring.jobs.engine import AlertChannel as AlertChannel
    from mainspring.jobs.engine import Backfill as Backfill
    from mainspring.jobs.engine import BackfillProgress as BackfillProgress
    from mainspring.jobs.engine import ConfigInForce as ConfigInForce
    from mainspring.jobs.engine import EmittedItem as EmittedItem
    from mainspring.jobs.engine import HandlerResult as HandlerResult
    from mainspring.jobs.engine import HeldLease as HeldLease
    from mainspring.jobs.engine import Histogram as Histogram
    from mainspring.jobs.engine import JobApp as JobApp
    from mainspring.jobs.engine import JobContext as JobContext
    from mainspring.jobs.engine import JobDefinition as JobDefinition
    from mainspring.jobs.engine import JobEvent as JobEvent
    from mainspring.jobs.engine import JobReader as JobReader
    from mainspring.jobs.engine import Lease as Lease
    from mainspring.jobs.engine import RunInfo as RunInfo
    from mainspring.jobs.engine import RunMetrics as RunMetrics
    from mainspring.jobs.engine import RunResult as RunResult
    from mainspring.jobs.engine import ScheduleVersion as ScheduleVersion
    from mainspring.jobs.engine import SpawnedRun as SpawnedRun
    from mainspring.jobs.engine import Subscription as Subscription
    from mainspring.jobs.engine import config_changes as config_changes
    from mainspring.jobs.engine import job as job
    from mainspring.jobs.engine import job_runner as job_runner
    from mainspring.jobs.engine import try_handler as try_handler
    from mainspring.jobs.model import ABSENT as ABSENT
    from mainspring.jobs.model import SECRET as SECRET
    from mainspring.jobs.model import At as At
    from mainspring.jobs.model import ConfigChange as ConfigChange
    from mainspring.jobs.model import ConfigSchema as ConfigSchema
    from mainspring.jobs.model import ConfigVersion as ConfigVersion
    from mainspring.jobs.model import Cron as Cron
    from mainspring.jobs.model import DataInterval as DataInterval
    from mainspring.jobs.model import Every as Every
    from mainspring.jobs.model import Keep as Keep
    from mainspring.jobs.model import LogLine as LogLine
    from mainspring.jobs.model import Missed as Missed
    from mainspring.jobs.model import Need as Need
    from mainspring.jobs.model import PlannedFire as PlannedFire
    from mainspring.jobs.model import Retention as Retention
    from mainspring.jobs.model import RunLog as RunLog
    from mainspring.jobs.model import RunState as RunState
    from mainspring.jobs.model import shown as shown
    from mainspring.jobs.stores import BackfillRow as BackfillRow
    from mainspring.jobs.stores import BackfillState as BackfillState
    from mainspring.jobs.stores import EventKind as EventKind
    from mainspring.jobs.stores import EventRow as EventRow
    from mainspring.jobs.stores import JobRow as JobRow
    from mainspring.jobs.stores import LeaseRow as LeaseRow
    from mainspring.jobs.stores import NodeRow as NodeRow
    from mainspring.jobs.stores import Progress as Progress
    from mainspring.jobs.stores import QueueRow as QueueRow
    from mainspring.jobs.stores import RunRecord as RunRecord
    from mainspring.jobs.stores import StrandedRow as StrandedRow
    from mainspring.runtime import Resource as Resource
    from mainspring.runtime import resource as resource
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "mainspring.jobs.engine": (
                "Alert",
                "AlertChannel",
                "Backfill",
                "BackfillProgress",
                "HeldLease",
                "JobApp",
                "JobContext",
                "JobDefinition",
                "JobEvent",
                "Lease",
                "RunInfo",
                "RunResult",
                "ScheduleVersion",
                "SpawnedRun",
                "Subscription",
                "job",
                "job_runner",
            ),
            "mainspring.jobs.model": (
                "ABSENT",
                "SECRET",
                "At",
                "ConfigChange",
                "ConfigVersion",
                "Cron",
                "DataInterval",
                "Every",
                "LogLine",
                "Keep",
                "Missed",
                "Need",
                "PlannedFire",
                "RunLog",
                "Retention",
                "RunState",
            ),
            "mainspring.jobs.stores": (
                "BackfillState",
                "EventKind",
                "EventRow",
                "LeaseRow",
                "Progress",
                "RunRecord",
                "StrandedRow",
            ),
            "mainspring.runtime": ("Resource", "resource"),
        },
        house={
            "mainspring.jobs.engine": (
                "ConfigInForce",
                "EmittedItem",
                "HandlerResult",
                "Histogram",
                "JobReader",
                "RunMetrics",
                "config_changes",
                "try_handler",
            ),
            "mainspring.jobs.model": ("ConfigSchema", "shown"),
            "mainspring.jobs.stores": ("BackfillRow", "JobRow", "NodeRow", "QueueRow"),
        },
    )
