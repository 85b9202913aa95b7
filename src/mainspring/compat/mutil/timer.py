"""`mutil.timer`."""

import sys

from mainspring.compat.mutil._reports import report
from mainspring.tools import Timer as _Timer

__all__ = ("Timer",)


class Timer(_Timer):
    """Reports through loguru when it is installed."""

    def __init__(self, name: str = "", every: int = sys.maxsize) -> None:
        super().__init__(name, every, report=_tell)


def _tell(line: str) -> None:
    report("INFO", line)
