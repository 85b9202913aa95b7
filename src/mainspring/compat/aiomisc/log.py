"""`aiomisc.log`: buffered logging, with the order of arguments of aiomisc."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from mainspring.compat.aiomisc_log._config import note_settings
from mainspring.runtime import BufferedHandler, LogFormat, LogLevel, ThreadedHandlerStatistic, wrap_logging_handler
from mainspring.runtime import basic_config as _basic_config

__all__ = (
    "LogFormat",
    "LogLevel",
    "ThreadedHandler",
    "ThreadedHandlerStatistic",
    "basic_config",
    "wrap_logging_handler",
)

_BUFFER_SIZE = 1024


def basic_config(
    level: int | str = LogLevel.info,
    log_format: int | str | None = None,
    buffered: bool = True,
    buffer_size: int = 0,
    flush_interval: float = 0.2,
    loop: asyncio.AbstractEventLoop | None = None,
    handlers: Iterable[logging.Handler] = (),
    **kwargs: Any,  # Any: the options of ours
) -> None:
    """Configure the root logger; see `mainspring.runtime.basic_config`. A size of 0 is 1024: ours has a bound."""
    note_settings(level, log_format)
    _basic_config(
        level,
        log_format,
        buffered,
        buffer_size or _BUFFER_SIZE,
        flush_interval,
        loop=loop,
        handlers=handlers,
        **kwargs,
    )


class ThreadedHandler(BufferedHandler):
    """As `BufferedHandler`, with the arguments of aiomisc; the first record starts its thread, too."""

    def __init__(
        self, target: logging.Handler, flush_interval: float = 0.1, buffered: bool = True, queue_size: int = 0
    ) -> None:
        super().__init__(
            target,
            buffer_size=queue_size or _BUFFER_SIZE,
            flush_interval=flush_interval,
            policy="drop-oldest" if buffered else "block",
        )
