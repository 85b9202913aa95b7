"""The pure half of jobs: states, schedules, data intervals, done-sets. Imports no asyncio."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.jobs.model._states import TRANSITIONS as TRANSITIONS
    from mainspring.jobs.model._states import RunState as RunState
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(__name__, {"_states": ("TRANSITIONS", "RunState")})
