"""`aiomisc.cron`."""

from mainspring.concurrency import CronCallback

__all__ = ("CronCallback",)
