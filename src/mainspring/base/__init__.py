"""Base: what every room stands on. Pure and stdlib-like; no task is started here.

Clock, random numbers and ids, statistics, the cron engine, frames and codecs, `Backoff`, the loader of
extras.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.base._clock import Clock as Clock
    from mainspring.base._clock import SystemClock as SystemClock
    from mainspring.base._clock import current_clock as current_clock
    from mainspring.base._clock import use_clock as use_clock
    from mainspring.base._door import door as door
else:
    from mainspring.base._door import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {"_clock": ("Clock", "SystemClock", "current_clock", "use_clock")},
        house={"_door": ("door",)},
    )
