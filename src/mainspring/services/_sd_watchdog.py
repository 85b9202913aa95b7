"""SDWatchdogService: systemd learns what the program does, and whether its loop still turns."""

import logging
import math
from collections.abc import Sequence
from typing import Any

from mainspring.concurrency import PeriodicCallback
from mainspring.errors import InvalidArgumentError
from mainspring.runtime import Entrypoint, Service
from mainspring.services._notify_socket import NotifySocket, watchdog_seconds

log = logging.getLogger(__name__)


class SDWatchdogService(Service):
    """Tells systemd when the program is ready and when it stops, and pings its watchdog.

    For units with `Type=notify`, with or without `WatchdogSec=`. Without `NOTIFY_SOCKET` in the environment it
    does nothing. A loop that hangs does not ping, and systemd acts.

    Attributes:
        watchdog_interval: seconds in which systemd must hear a ping; None for what `WATCHDOG_USEC` says. It is
            pinged twice in that time.

    Raises:
        InvalidArgumentError: `watchdog_interval` is not above 0.

    Source: sd_notify(3), sd_watchdog_enabled(3).
    """

    watchdog_interval: float | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        interval = self.watchdog_interval
        if interval is not None and not (interval > 0 and math.isfinite(interval)):
            raise InvalidArgumentError(argument="watchdog_interval", value=interval, expected="seconds above 0")
        self.systemd = NotifySocket()
        self._pings: PeriodicCallback | None = None
        self._hears_program = False
        # Each program takes these when it is made, and its services are made before it.
        Entrypoint.PRE_START.connect(_on_pre_start)
        Entrypoint.POST_START.connect(_on_post_start)
        Entrypoint.PRE_STOP.connect(_on_pre_stop)
        Entrypoint.POST_STOP.connect(_on_post_stop)

    def __repr__(self) -> str:
        return f"<SDWatchdogService {'pinging' if self._pings else 'connected' if self.systemd else 'idle'}>"

    async def start(self) -> None:
        """Begin to ping, and return."""
        self.systemd.open()
        if not self.systemd:
            log.debug("no NOTIFY_SOCKET: nobody is told anything")
            return
        imported = watchdog_seconds()
        interval = imported if self.watchdog_interval is None else self.watchdog_interval
        if interval is not None:
            if interval != imported:
                self.systemd.send(f"WATCHDOG_USEC={int(interval * 1_000_000)}")
            self._pings = PeriodicCallback(self.systemd.send, "WATCHDOG=1")
            self._pings.start(interval / 2, self.loop)
        if not self._hears_program:  # the program was made before this service, so it runs
            self.systemd.send("READY=1")

    async def stop(self, exception: Any = None) -> None:
        """Leave the end to the last signal of the program: others may still be stopping, and are watched."""
        if not self._hears_program:
            self.end()

    def end(self) -> None:
        """Ping no more."""
        if self._pings is not None:
            _ = self._pings.stop(return_exceptions=True)
            self._pings = None
        self.systemd.close()

    def hear(self) -> None:
        """Take the program's signals for what they are from now on."""
        self._hears_program = True
        self.systemd.open()


def _watchdogs(program: Entrypoint, services: Sequence[Service]) -> list[SDWatchdogService]:
    return [one for one in dict.fromkeys((*program.services, *services)) if isinstance(one, SDWatchdogService)]


def _tell(program: Entrypoint, services: Sequence[Service], what: str, *more: str) -> None:
    for one in _watchdogs(program, services):
        one.systemd.send(f"STATUS={what} {len(services)} services", *more)


async def _on_pre_start(entrypoint: Entrypoint, services: Sequence[Service]) -> None:
    for one in _watchdogs(entrypoint, services):
        one.hear()
    _tell(entrypoint, services, "Starting")


async def _on_post_start(entrypoint: Entrypoint, services: Sequence[Service]) -> None:
    if entrypoint.health().ready:
        _tell(entrypoint, services, "Started", "READY=1")


async def _on_pre_stop(entrypoint: Entrypoint, services: Sequence[Service]) -> None:
    more = ["STOPPING=1"] if entrypoint.exit.closing.is_set() else []
    _tell(entrypoint, services, "Stopping", *more)


async def _on_post_stop(services: Sequence[Service]) -> None:
    for one in services:
        if isinstance(one, SDWatchdogService):
            one.end()
