"""Concurrency: doing many things at once, in threads and in worker processes."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.concurrency._fork_server import start_child_infrastructure as start_child_infrastructure
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {},
        house={"_fork_server": ("start_child_infrastructure",)},
    )
