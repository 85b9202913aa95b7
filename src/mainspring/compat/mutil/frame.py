"""`mutil.frame`."""

from typing import Any

from mainspring.compat.mutil._reports import make_frame_level, report
from mainspring.tools import caption_line, frame_texts

__all__ = ("printFrame", "setupLogger")


def setupLogger() -> None:
    """Make the log level FRAME, 25."""
    make_frame_level()


def printFrame(df: Any, caption: str = "", headers: int | None = None, level: str = "FRAME") -> None:
    """Log a whole table; the level FRAME is made when it is not there."""
    if level == "FRAME":
        make_frame_level()
    report("INFO", caption_line(df, caption))
    for text in frame_texts(df, headers):
        report(level, f"\n{text}")
