"""Makes the run of a call: what `run_job` was given, as the store has it."""

from collections.abc import Container, Mapping
from datetime import datetime
from typing import Final

from mainspring.base import new_id, to_us
from mainspring.errors import InvalidArgumentError
from mainspring.jobs.engine._definition import JobDefinition
from mainspring.jobs.engine._plain import encoded_table, is_storable
from mainspring.jobs.engine._settings import KEY_LIFETIME
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import NEXT_GENERATION, NewRun, RunKind, RunRecord

_LONGEST_KEY: Final = 1024  # characters; a spawned run's key in the store has its parent's id and its job's beside it


def new_call(
    definition: JobDefinition,
    config: Mapping[str, object] | None,
    scheduled_time: datetime | None,
    *,
    key: str | None,
    now: int,
    key_lifetime: float = KEY_LIFETIME,
    known: Container[str] = (),
) -> NewRun:
    """Return a run that is ready at `now`; `key` makes a second call with the same arguments get this one for a time.

    Args:
        key_lifetime: that time, in seconds.
        known: the ids that jobs have today; the call is the same one under an earlier id of its job.

    Raises:
        InvalidArgumentError: `config` is no mapping, or has a number that JSON has not.
        EncodeError: a value of it has no JSON form.
    """
    encoded = encoded_config(config)
    asked_for = None if scheduled_time is None else to_us(scheduled_time)
    return NewRun(
        run_id=new_id(),
        job_id=definition.job_id,
        kind=RunKind.MANUAL,
        available_at=now,
        scheduled_at=now if asked_for is None else asked_for,
        queue=definition.queue,
        priority=definition.priority,
        config=encoded,
        idempotency_key=key,
        arguments_hash=None if key is None else _hash(definition.oldest_id(known), encoded, asked_for),
        key_expires_at=None if key is None else now + int(key_lifetime * 1e6),
    )


def encoded_config(config: Mapping[str, object] | None) -> bytes | None:
    """Return the config that a caller gives to a run as the store keeps it.

    Raises:
        InvalidArgumentError: it is no mapping, or has a number that JSON has not.
        EncodeError: a value has no JSON form.
    """
    return None if config is None else encoded_table("config", config)


def check_key(argument: str, key: object) -> None:
    """Refuse what no store can keep as the key of a call.

    Raises:
        InvalidArgumentError: it is no text of 1 to 1024 characters, or one that UTF-8 cannot write.
    """
    if key is None:
        return
    if not isinstance(key, str) or not 0 < len(key) <= _LONGEST_KEY:
        raise InvalidArgumentError(argument=argument, value=key, expected=f"a text of 1 to {_LONGEST_KEY} characters")
    if not is_storable(key):
        raise InvalidArgumentError(argument=argument, value=key, expected="a text that UTF-8 can write")


def new_generation(definition: JobDefinition, record: RunRecord, *, now: int, latest_config: bool) -> NewRun:
    """Return the run that does an ended one again, linked to it; that of an interval or a fire counts for the limits.

    Raises:
        InvalidArgumentError: it has not ended, or it is the record of a skipped range.
    """
    if not record.state.terminal:
        raise InvalidArgumentError(
            argument="RUN", value=record.run_id, expected=f"a run that has ended; this one is {record.state}"
        )
    if record.state is RunState.SKIPPED and record.scheduled_at is None:
        raise InvalidArgumentError(
            argument="RUN",
            value=record.run_id,
            expected="a run; this is the record of a range that was skipped",
            hint="run its intervals with a backfill",
        )
    at_instant = record.kind is RunKind.SCHEDULE and record.interval_start is None
    of_interval = record.interval_start is not None
    of_occurrence = of_interval or at_instant
    return NewRun(
        run_id=new_id(),
        job_id=record.job_id,
        kind=record.kind if at_instant or record.kind is RunKind.SPAWN else RunKind.MANUAL,
        state=definition.first_state if of_interval else RunState.AVAILABLE,
        available_at=now,
        scheduled_at=record.scheduled_at,
        interval_start=record.interval_start,
        interval_end=record.interval_end,
        generation=NEXT_GENERATION if of_occurrence else record.generation + 1,
        previous_run=record.run_id,
        queue=definition.queue,
        priority=definition.priority,
        limits=definition.limits if of_occurrence else (),
        config=record.config,
        config_version=None if latest_config else _kept_config(record),
        parent_run=record.parent_run,
        idempotency_key=None if of_occurrence else f"retry/{record.run_id}",
        key_expires_at=now + int(KEY_LIFETIME * 1e6),
    )


def _kept_config(record: RunRecord) -> int | None:
    """Return the version with which a run started, 0 for none; None for one that never did."""
    return record.config_version if record.started_at is None else record.config_version or 0


def _hash(job_id: str, config: bytes | None, scheduled_at: int | None) -> bytes:
    import hashlib  # only calls with a key need it
    import json

    plain = None if config is None else json.dumps(json.loads(config), sort_keys=True)  # equal dicts are one config
    text = "\0".join((job_id, plain or "", str(scheduled_at))).encode()
    return hashlib.blake2b(text, digest_size=16).digest()
