"""Configs of jobs in memory: their versions, and which of them a run starts with."""

from mainspring.jobs.stores._memory_data import MemoryData
from mainspring.jobs.stores._records import RunRecord
from mainspring.jobs.stores._steering_records import ConfigRow


def put_config(data: MemoryData, row: ConfigRow) -> ConfigRow:
    """Add a version unless its number is taken; return what has the number then."""
    versions = data.configs.setdefault(row.job_id, {})
    if row.version not in versions:
        versions[row.version] = row
        data.version += 1
    return versions[row.version]


def list_configs(data: MemoryData, job_id: str, before: int | None, limit: int) -> list[ConfigRow]:
    """Return versions of a job, newest first."""
    versions = data.configs.get(job_id, {})
    wanted = (number for number in sorted(versions, reverse=True) if before is None or number < before)
    return [versions[number] for number, _ in zip(wanted, range(limit), strict=False)]


def config_version_of(data: MemoryData, record: RunRecord, as_of: int | None, now: int) -> int | None:
    """Return the version that a run, claimed now, runs with: what it first started with, else what is in force."""
    if not data.configs or record.started_at is not None or record.config_version is not None:
        return record.config_version
    instant = now if as_of is None else as_of
    versions = data.configs.get(record.job_id, {}).values()
    return max((one.version for one in versions if one.effective_from <= instant), default=None)
