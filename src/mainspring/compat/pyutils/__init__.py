"""`pyutils`, over mainspring: its names and calls. What differs is listed in the manual, under Migration."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.concurrency import TaskManager as TaskManager
    from mainspring.resilience import GlobalAsyncLimiter as GlobalAsyncLimiter
    from mainspring.storage import BaseClient as BaseClient
    from mainspring.storage import BaseStorage as BaseStorage
    from mainspring.storage import Querier as Querier
    from mainspring.tools import AccountCredentialManager as AccountCredentialManager
    from mainspring.tools import ConfigLoader as ConfigLoader
    from mainspring.tools import Notifier as Notifier
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "mainspring.concurrency": ("TaskManager",),
            "mainspring.resilience": ("GlobalAsyncLimiter",),
            "mainspring.storage": ("BaseClient", "BaseStorage", "Querier"),
            "mainspring.tools": (
                "AccountCredentialManager",
                "ConfigLoader",
                "Notifier",
            ),
        },
    )
