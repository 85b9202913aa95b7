"""`aiomisc.service.cron`: no extra is needed."""

from mainspring.services import CronService

__all__ = ("CronService",)
