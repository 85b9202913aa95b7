"""What a new backfill is in the store: its row, and one for each job that has to run again after it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from graphlib import TopologicalSorter
from typing import Final, Literal

from mainspring.base import from_us, new_id, to_us
from mainspring.errors import InvalidArgumentError
from mainspring.jobs.engine._calls import encoded_config
from mainspring.jobs.engine._definition import JobDefinition
from mainspring.jobs.model import first_cursor
from mainspring.jobs.stores import BackfillRow
from mainspring.resilience import check_count

_WORDS: Final = {
    "reprocess": ("missing", "failed", "all"),
    "order": ("asc", "desc"),
    "on_failure": ("continue", "stop"),
    "config_at": ("now", "interval"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillOptions:
    """How a backfill goes about its range; see `JobApp.backfill`."""

    reprocess: Literal["missing", "failed", "all"] = "missing"
    order: Literal["asc", "desc"] = "asc"
    max_parallel: int = 8
    on_failure: Literal["continue", "stop"] = "continue"
    config: Mapping[str, object] | None = None
    config_at: Literal["now", "interval"] = "now"

    def check(self, definition: JobDefinition) -> None:
        """Refuse what cannot be done.

        Raises:
            InvalidArgumentError: an option is outside its range, or does not fit the job.
            EncodeError: a value of the config has no JSON form.
        """
        check_count("max_parallel", self.max_parallel)
        for name, words in _WORDS.items():
            if getattr(self, name) not in words:
                expected = f"one of {', '.join(map(repr, words))}"
                raise InvalidArgumentError(argument=name, value=getattr(self, name), expected=expected)
        if self.order == "desc" and definition.depends_on_past:
            expected = "'asc': each interval of this job waits for the one before it (depends_on_past=True)"
            raise InvalidArgumentError(argument="order", value="desc", expected=expected)
        encoded_config(self.config)

    def row(self, definition: JobDefinition, low: datetime, high: datetime, now: int) -> BackfillRow:
        """Return the row of a backfill over [low, high)."""
        schedule = definition.schedule
        total, exact = (0, True) if schedule is None else schedule.count(low, high)
        return BackfillRow(
            backfill_id=new_id(),
            job_id=definition.job_id,
            start=to_us(low),
            end=to_us(high),
            cursor=to_us(low if self.order == "asc" else high),
            order=self.order,
            reprocess=self.reprocess,
            max_parallel=self.max_parallel,
            on_failure=self.on_failure,
            total=total,
            total_exact=exact,
            created_at=now,
            config=encoded_config(self.config),
            config_at=self.config_at,
        )


def with_downstream(
    first: BackfillRow, definitions: Mapping[str, JobDefinition], options: BackfillOptions
) -> list[BackfillRow]:
    """Return a backfill and, each behind those that it waits for, the ones of all jobs that need its intervals.

    Their ranges are those that the first one could touch, widened to whole intervals; what they run is decided when
    their turn has come, by what has succeeded in the backfills before them.
    """
    made = {first.job_id: first}
    graph = {job_id: [need.job_id for need in one.needs] for job_id, one in definitions.items()}
    for job_id in TopologicalSorter(graph).static_order():
        definition = definitions[job_id]
        span = _touched_span(definition, made)
        if job_id in made or span is None:
            continue
        later = replace(
            options,
            reprocess="all",
            order="asc" if definition.depends_on_past else options.order,
            config=None,
        )
        after = tuple(dict.fromkeys(made[need.job_id].backfill_id for need in definition.needs if need.job_id in made))
        made[job_id] = replace(later.row(definition, *span, first.created_at), total_exact=False, after=after)
    awaited = {backfill_id for row in made.values() for backfill_id in row.after}
    return [replace(row, downstream=row.backfill_id in awaited) for row in made.values()]


def _touched_span(definition: JobDefinition, made: Mapping[str, BackfillRow]) -> tuple[datetime, datetime] | None:
    """Return the ends of the job's intervals that share time with a range that is run again; None without any."""
    schedule = definition.schedule
    if schedule is None:
        return None
    spans: list[tuple[datetime, datetime]] = []
    for need in definition.needs:
        if need.job_id in made:
            row, shift = made[need.job_id], timedelta(seconds=need.offset)
            low, last = from_us(row.start) - shift, from_us(row.end - 1) - shift
            spans.append((schedule.previous_fire(low) or low, schedule.next_fire(last) or last))
    if not spans:
        return None
    low, high = min(span[0] for span in spans), max(span[1] for span in spans)
    if definition.start_at is not None:
        low = max(low, first_cursor(schedule, definition.start_at, start_at=definition.start_at))
    return (low, high) if low < high else None
