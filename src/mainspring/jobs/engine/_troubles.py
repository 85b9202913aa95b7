"""Says in the log that an attempt has failed: a job without `alert=` would fail in silence on somebody's terminal."""

import logging

from mainspring.base import from_us
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import RunRecord

log = logging.getLogger(__name__)


def log_trouble(record: RunRecord) -> None:
    """Log how an attempt failed, without secrets, as its record has it: an error when it was the last one.

    One that is tried again is everyday life where others are called, and no more than an information.
    """
    if record.state is RunState.RETRYING and log.isEnabledFor(logging.INFO):
        said = "%s failed in attempt %d, the next is due at %s: %s"
        log.info(said, _name(record), record.attempt, f"{from_us(record.available_at):%H:%M:%SZ}", record.error)
    elif record.state is RunState.FAILED:
        tries = "1 attempt" if record.attempt == 1 else f"{record.attempt} attempts"
        log.error("%s failed after %s: %s", _name(record), tries, record.error)


def _name(record: RunRecord) -> str:
    interval = record.interval("UTC")
    return f"run {record.run_id} of {record.job_id}{'' if interval is None else f' {interval}'}"
