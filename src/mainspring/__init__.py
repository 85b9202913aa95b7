"""mainspring: write and run asynchronous data services in Python."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.base import Backoff as Backoff
    from mainspring.base import Statistic as Statistic
    from mainspring.base import get_statistics as get_statistics
    from mainspring.errors import MainspringError as MainspringError
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "mainspring.base": ("Backoff", "Statistic", "get_statistics"),
            "mainspring.errors": ("MainspringError",),
        },
    )
