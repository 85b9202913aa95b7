"""The pure half of jobs: states, schedules, data intervals, done-sets. Imports no asyncio."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.jobs.model._config import ABSENT as ABSENT
    from mainspring.jobs.model._config import ConfigChange as ConfigChange
    from mainspring.jobs.model._config import ConfigVersion as ConfigVersion
    from mainspring.jobs.model._config import config_at as config_at
    from mainspring.jobs.model._config import diff_config as diff_config
    from mainspring.jobs.model._config import effective_config as effective_config
    from mainspring.jobs.model._config import next_config as next_config
    from mainspring.jobs.model._config import rollback_config as rollback_config
    from mainspring.jobs.model._config_schema import SECRET as SECRET
    from mainspring.jobs.model._config_schema import ConfigSchema as ConfigSchema
    from mainspring.jobs.model._config_schema import shown as shown
    from mainspring.jobs.model._interval import DataInterval as DataInterval
    from mainspring.jobs.model._interval import to_instant as to_instant
    from mainspring.jobs.model._interval import zone_of as zone_of
    from mainspring.jobs.model._log import LogLine as LogLine
    from mainspring.jobs.model._log import RunLog as RunLog
    from mainspring.jobs.model._missed import ON_TIME as ON_TIME
    from mainspring.jobs.model._missed import Missed as Missed
    from mainspring.jobs.model._missed import MissedPlan as MissedPlan
    from mainspring.jobs.model._missed import PlannedRun as PlannedRun
    from mainspring.jobs.model._missed import first_cursor as first_cursor
    from mainspring.jobs.model._missed import jitter_of as jitter_of
    from mainspring.jobs.model._missed import missed_lookback as missed_lookback
    from mainspring.jobs.model._missed import missed_policy as missed_policy
    from mainspring.jobs.model._missed import plan_missed as plan_missed
    from mainspring.jobs.model._needs import Need as Need
    from mainspring.jobs.model._needs import check_needs as check_needs
    from mainspring.jobs.model._plan import PlannedFire as PlannedFire
    from mainspring.jobs.model._plan import plan_fires as plan_fires
    from mainspring.jobs.model._ranges import RangeSet as RangeSet
    from mainspring.jobs.model._retention import Keep as Keep
    from mainspring.jobs.model._retention import Retention as Retention
    from mainspring.jobs.model._schedule import At as At
    from mainspring.jobs.model._schedule import Cron as Cron
    from mainspring.jobs.model._schedule import Every as Every
    from mainspring.jobs.model._schedule import Schedule as Schedule
    from mainspring.jobs.model._states import TRANSITIONS as TRANSITIONS
    from mainspring.jobs.model._states import RunState as RunState
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "_config": (
                "ABSENT",
                "ConfigChange",
                "ConfigVersion",
                "config_at",
                "diff_config",
                "effective_config",
                "next_config",
                "rollback_config",
            ),
            "_config_schema": ("SECRET", "ConfigSchema", "shown"),
            "_interval": (
                "DataInterval",
                "to_instant",
                "zone_of",
            ),
            "_log": ("LogLine", "RunLog"),
            "_missed": (
                "ON_TIME",
                "Missed",
                "MissedPlan",
                "PlannedRun",
                "first_cursor",
                "jitter_of",
                "missed_lookback",
                "missed_policy",
                "plan_missed",
            ),
            "_needs": (
                "Need",
                "check_needs",
            ),
            "_plan": (
                "PlannedFire",
                "plan_fires",
            ),
            "_ranges": ("RangeSet",),
            "_retention": ("Keep", "Retention"),
            "_schedule": (
                "At",
                "Cron",
                "Every",
                "Schedule",
            ),
            "_states": (
                "TRANSITIONS",
                "RunState",
            ),
        },
    )
