"""Job stores: the protocols, their records, and one implementation per database."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.jobs.stores._apps import AppName as AppName
    from mainspring.jobs.stores._catalog_records import Advance as Advance
    from mainspring.jobs.stores._catalog_records import AdvanceAnswer as AdvanceAnswer
    from mainspring.jobs.stores._catalog_records import BackfillRow as BackfillRow
    from mainspring.jobs.stores._catalog_records import BackfillState as BackfillState
    from mainspring.jobs.stores._catalog_records import BackfillStep as BackfillStep
    from mainspring.jobs.stores._catalog_records import DoneRange as DoneRange
    from mainspring.jobs.stores._catalog_records import JobRegistration as JobRegistration
    from mainspring.jobs.stores._catalog_records import JobRow as JobRow
    from mainspring.jobs.stores._catalog_records import ran_in as ran_in
    from mainspring.jobs.stores._events import NO_RUN as NO_RUN
    from mainspring.jobs.stores._events import EventKind as EventKind
    from mainspring.jobs.stores._events import EventRow as EventRow
    from mainspring.jobs.stores._events import Happened as Happened
    from mainspring.jobs.stores._events import happened as happened
    from mainspring.jobs.stores._limits import backfill_key as backfill_key
    from mainspring.jobs.stores._limits import job_key as job_key
    from mainspring.jobs.stores._memory import MemoryStore as MemoryStore
    from mainspring.jobs.stores._memory_data import MemoryData as MemoryData
    from mainspring.jobs.stores._protocol import CatalogStore as CatalogStore
    from mainspring.jobs.stores._protocol import JobStore as JobStore
    from mainspring.jobs.stores._protocol import ReadStore as ReadStore
    from mainspring.jobs.stores._protocol import RunStore as RunStore
    from mainspring.jobs.stores._protocol import StoreReader as StoreReader
    from mainspring.jobs.stores._records import NEXT_GENERATION as NEXT_GENERATION
    from mainspring.jobs.stores._records import AttemptLog as AttemptLog
    from mainspring.jobs.stores._records import Claim as Claim
    from mainspring.jobs.stores._records import ClaimAnswer as ClaimAnswer
    from mainspring.jobs.stores._records import Enqueue as Enqueue
    from mainspring.jobs.stores._records import EnqueueAnswer as EnqueueAnswer
    from mainspring.jobs.stores._records import Finish as Finish
    from mainspring.jobs.stores._records import HeartbeatAnswer as HeartbeatAnswer
    from mainspring.jobs.stores._records import NewRun as NewRun
    from mainspring.jobs.stores._records import NodeRow as NodeRow
    from mainspring.jobs.stores._records import NodeTakes as NodeTakes
    from mainspring.jobs.stores._records import Progress as Progress
    from mainspring.jobs.stores._records import QueueRow as QueueRow
    from mainspring.jobs.stores._records import Report as Report
    from mainspring.jobs.stores._records import RunFilter as RunFilter
    from mainspring.jobs.stores._records import RunKind as RunKind
    from mainspring.jobs.stores._records import RunRecord as RunRecord
    from mainspring.jobs.stores._records import StrandedRow as StrandedRow
    from mainspring.jobs.stores._sqlite import SqliteStore as SqliteStore
    from mainspring.jobs.stores._steering_records import ConfigRow as ConfigRow
    from mainspring.jobs.stores._steering_records import LeaseRow as LeaseRow
    from mainspring.jobs.stores._steering_records import Prune as Prune
    from mainspring.jobs.stores._steering_records import Pruned as Pruned
    from mainspring.jobs.stores._steering_records import ScheduleRow as ScheduleRow
    from mainspring.jobs.stores._steering_records import SetSchedule as SetSchedule
    from mainspring.jobs.stores._steering_records import TakeLease as TakeLease
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "_apps": ("AppName",),
            "_catalog_records": (
                "Advance",
                "AdvanceAnswer",
                "BackfillRow",
                "BackfillState",
                "BackfillStep",
                "DoneRange",
                "JobRegistration",
                "JobRow",
                "ran_in",
            ),
            "_events": ("NO_RUN", "EventKind", "EventRow", "Happened", "happened"),
            "_limits": ("backfill_key", "job_key"),
            "_memory": ("MemoryStore",),
            "_memory_data": ("MemoryData",),
            "_protocol": ("CatalogStore", "JobStore", "ReadStore", "RunStore", "StoreReader"),
            "_records": (
                "NEXT_GENERATION",
                "AttemptLog",
                "Claim",
                "ClaimAnswer",
                "Enqueue",
                "EnqueueAnswer",
                "Finish",
                "HeartbeatAnswer",
                "NewRun",
                "NodeRow",
                "NodeTakes",
                "Progress",
                "QueueRow",
                "Report",
                "RunFilter",
                "RunKind",
                "RunRecord",
                "StrandedRow",
            ),
            "_sqlite": ("SqliteStore",),
            "_steering_records": (
                "ConfigRow",
                "LeaseRow",
                "Prune",
                "Pruned",
                "ScheduleRow",
                "SetSchedule",
                "TakeLease",
            ),
        },
    )
