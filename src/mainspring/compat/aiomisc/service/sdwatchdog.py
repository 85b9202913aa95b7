"""`aiomisc.service.sdwatchdog`: systemd learns what the program does."""

from mainspring.services import SDWatchdogService

__all__ = ("SDWatchdogService",)
