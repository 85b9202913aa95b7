"""`aiomisc_log`: logging without buffers and without an event loop."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.compat.aiomisc_log._config import LOG_FORMAT as LOG_FORMAT
    from mainspring.compat.aiomisc_log._config import LOG_LEVEL as LOG_LEVEL
    from mainspring.compat.aiomisc_log._config import basic_config as basic_config
    from mainspring.compat.aiomisc_log._config import create_logging_handler as create_logging_handler
    from mainspring.runtime import LogFormat as LogFormat
    from mainspring.runtime import LogLevel as LogLevel
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "_config": ("LOG_FORMAT", "LOG_LEVEL", "basic_config", "create_logging_handler"),
            "mainspring.runtime": ("LogFormat", "LogLevel"),
        },
    )
