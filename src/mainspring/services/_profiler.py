"""Profiler: where the loop's thread spends its time."""

import cProfile
import io
import logging
import os
import pstats
from collections.abc import Callable
from typing import Any

from mainspring.concurrency import PeriodicCallback
from mainspring.errors import InvalidArgumentError, MisuseError
from mainspring.runtime import LogBlock, Service

log = logging.getLogger(__name__)


class Profiler(Service):
    """Profiles the thread of the loop and logs every few seconds which functions took most time, and at the end.

    Profiling makes each call slower.

    Attributes:
        interval: seconds from one report to the next.
        top_results: functions in a report.
        path: a file that each report rewrites with the whole profile, for `pstats`, `snakeviz` and the like.
        order: what the functions are sorted by, a key of `pstats.Stats.sort_stats`.
        logger: called with each report.

    Raises:
        InvalidArgumentError: there is no such order, or `top_results` is below 1.
        MisuseError: (from the start) another profiler is active.
    """

    interval: float = 10.0
    top_results: int = 10
    path: str | os.PathLike[str] | None = None
    order: str = "cumulative"
    logger: Callable[[str], object] = log.info

    _beat: PeriodicCallback | None = None
    _profile: cProfile.Profile | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        orders = pstats.Stats.sort_arg_dict_default
        if self.order not in orders:
            raise InvalidArgumentError(argument="order", value=self.order, expected=f"one of {', '.join(orders)}")
        if self.top_results < 1:
            raise InvalidArgumentError(argument="top_results", value=self.top_results, expected="an int >= 1")

    async def start(self) -> None:
        """Begin to profile, and return."""
        profile = cProfile.Profile()
        try:
            profile.enable()
        except ValueError as error:
            raise MisuseError(what="the Profiler", problem=f"cannot start: {error}") from error
        self._profile = profile
        self._beat = PeriodicCallback(self.report)
        self._beat.start(self.interval, self.loop, delay=self.interval)

    async def stop(self, exception: Any = None) -> None:
        """Report for the last time."""
        if self._beat is not None:
            _ = self._beat.stop(return_exceptions=True)
            self._beat = None
        self.report()
        if self._profile is not None:
            self._profile.disable()
            self._profile = None

    def report(self) -> None:
        """Log the functions that took most time since the start, and write the file."""
        profile = self._profile
        if profile is None:
            return
        profile.disable()
        try:
            text = io.StringIO()
            stats = pstats.Stats(profile, stream=text)
            if self.path is not None:
                stats.dump_stats(self.path)
            stats.strip_dirs().sort_stats(self.order).print_stats(self.top_results)
            self.logger(LogBlock(text.getvalue().strip()))
        finally:
            profile.enable()
