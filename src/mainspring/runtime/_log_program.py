"""The logging of one program: what an entrypoint configures, and takes back when it ends."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from mainspring.runtime._log_buffer import DropPolicy
from mainspring.runtime._log_child import hear_children
from mainspring.runtime._log_config import basic_config, watch_loop


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How a program logs; see `basic_config`."""

    level: int | str
    log_format: int | str | None
    date_format: str | None
    buffered: bool
    buffer_size: int
    flush_interval: float
    handlers: Sequence[logging.Handler]
    policy: DropPolicy


class ProgramLogging:
    """Configures logging when a program is made, buffers it while it runs, and unbuffers it after."""

    def __init__(self, settings: LogSettings, *, enabled: bool) -> None:
        self.settings = settings
        self.enabled = enabled
        self._watched: asyncio.AbstractEventLoop | None = None

    def configure(self, *, buffered: bool) -> None:
        """Install the handlers, in threads of their own or not."""
        if not self.enabled:
            hear_children()
            return
        settings = self.settings
        basic_config(
            settings.level,
            settings.log_format,
            buffered=buffered and settings.buffered,
            buffer_size=settings.buffer_size,
            flush_interval=settings.flush_interval,
            date_format=settings.date_format,
            handlers=settings.handlers,
            policy=settings.policy,
        )

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Log what nobody handles on the loop."""
        if self.enabled:
            watch_loop(loop)
            self._watched = loop

    def reset(self) -> None:
        """Write what is buffered, and log without a thread from now on."""
        self.configure(buffered=False)
        if self._watched is not None:
            self._watched.set_exception_handler(None)
            self._watched = None
