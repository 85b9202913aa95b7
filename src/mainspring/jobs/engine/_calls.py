"""Makes the run of a call: what `run_job` was given, as the store has it."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from mainspring.base import encode_json, new_id, to_us
from mainspring.jobs.engine._definition import JobDefinition
from mainspring.jobs.stores import NewRun, RunKind

KEY_LIFETIME: Final = timedelta(days=7)


def new_call(
    definition: JobDefinition,
    config: Mapping[str, object] | None,
    scheduled_time: datetime | None,
    *,
    key: str | None,
    now: int,
) -> NewRun:
    """Return a run that is ready at `now`; `key` makes a second call with the same arguments get this one."""
    encoded = None if config is None else encode_json(dict(config))
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
        arguments_hash=None if key is None else _hash(definition.job_id, encoded, asked_for),
        key_expires_at=None if key is None else now + int(KEY_LIFETIME.total_seconds() * 1e6),
    )


def _hash(job_id: str, config: bytes | None, scheduled_at: int | None) -> bytes:
    text = b"\0".join((job_id.encode(), config or b"", str(scheduled_at).encode()))
    return hashlib.blake2b(text, digest_size=16).digest()
