"""`aiomisc_log.formatter`: what makes the handler of each format."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.compat.aiomisc_log.formatter.color import color_formatter as color_formatter
    from mainspring.compat.aiomisc_log.formatter.journald import journald_formatter as journald_formatter
    from mainspring.compat.aiomisc_log.formatter.json import json_handler as json_handler
    from mainspring.compat.aiomisc_log.formatter.rich import rich_formatter as rich_formatter
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "color": ("color_formatter",),
            "journald": ("journald_formatter",),
            "json": ("json_handler",),
            "rich": ("rich_formatter",),
        },
    )
