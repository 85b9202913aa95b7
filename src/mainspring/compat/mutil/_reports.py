"""Where mutil's helpers report to: loguru when it is installed, else logging."""

import logging
import sys
from typing import Any, Final  # Any: loguru is used when it is there, and nothing is known of it otherwise

from mainspring.base import load_extra
from mainspring.errors import MissingExtraError

log: Final = logging.getLogger("mutil")
FRAME_LEVEL: Final = 25


def loguru_logger() -> Any:  # Any: as above
    """Return loguru's logger, or None."""
    try:
        return load_extra("loguru", feature="reports through loguru", extra="all").logger
    except MissingExtraError:
        return None


def report(level: str, text: str) -> None:
    """Write one record that names the place outside of mainspring that it comes from."""
    depth = _frames_of_ours()
    logger = loguru_logger()
    if logger is not None:
        logger.opt(depth=depth).log(level, "{}", text)
    else:
        log.log(logging.getLevelNamesMapping()[level], "%s", text, stacklevel=depth + 1)


def make_frame_level() -> None:
    """Give the level 25 the name FRAME, in loguru and in logging."""
    if "FRAME" not in logging.getLevelNamesMapping():
        logging.addLevelName(FRAME_LEVEL, "FRAME")
    logger = loguru_logger()
    if logger is None:
        return
    try:
        logger.level("FRAME")
    except ValueError:  # there is no such level yet
        logger.level("FRAME", no=FRAME_LEVEL)


def _frames_of_ours() -> int:
    """Return how many frames of mainspring lie above the caller's, counted from `report`."""
    frame, depth = sys._getframe(1), 0
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("mainspring."):
        frame, depth = frame.f_back, depth + 1
    return depth
