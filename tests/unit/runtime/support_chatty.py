"""Functions that log, for worker processes."""

import logging
import os

log = logging.getLogger("chatty")


def say(word: str, count: int) -> int:
    """Log some lines; return the process."""
    log.debug("quiet %s", word)
    for number in range(count):
        log.info("%s %d", word, number, extra={"thing": object, "step": number})
    return os.getpid()


def fail() -> None:
    """Log a traceback and a message that cannot be made."""
    try:
        raise ValueError("\x1b[2Jgone")
    except ValueError:
        log.exception("failed %s", [1], stack_info=True)
    log.warning("%d", "no number")
    log.warning("%(a)s", {"a": 1})
    log.warning(KeyError("an error"))
