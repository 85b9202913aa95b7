"""How jobs are steered from outside of the code, as stores keep it; units as in `_records`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigRow:
    """One version of a job's config. Whoever adds one gives it the next number of the job's history."""

    job_id: str
    version: int
    value: bytes
    effective_from: int
    created_at: int
    comment: str = ""
    rollback_of: int | None = None
