"""Runs: pages of them, and each with all that is known of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final  # Any: OpenAPI documents

from fastapi import APIRouter, Path, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request

from mainspring.base import decode_json
from mainspring.jobs import JobApp, JobReader, RunRecord, RunState
from mainspring.web._views import AttemptLogView, EventView, IdMark, Limit, Page, RunDetailView, RunView, json_of

_SCANNED: Final = 10_000  # runs that one request for a text looks at; the page then says where to go on
_STEP: Final = 500

Instant = Annotated[datetime | None, Query(description="an instant with its offset", examples=["2013-03-10T05:00:00Z"])]


class RunRoutes:
    """Answers about the runs of one app."""

    def __init__(self, app: JobApp) -> None:
        self._app = app
        self.router = APIRouter(tags=["runs"])
        add: Any = self.router.add_api_route  # Any: FastAPI's signature has a hundred keywords
        add("/runs", self.list_runs, summary="List runs, newest first")
        add("/runs/{run_id}", self.show_run, summary="Show one run")

    async def list_runs(
        self,
        request: Request,
        job: Annotated[str | None, Query(max_length=200, description="only of this job")] = None,
        state: Annotated[list[RunState] | None, Query(description="only in these states; may be repeated")] = None,
        backfill: Annotated[str | None, Query(max_length=200, description="only of this backfill")] = None,
        since: Instant = None,
        until: Instant = None,
        text: Annotated[
            str | None, Query(max_length=200, description="part of the job's id, the run's id or the error")
        ] = None,
        before: IdMark = None,
        limit: Limit = 50,
    ) -> Page[RunView]:
        """List runs, newest first, live and ended.

        `since` and `until` bound when a run was made. With `text` a page may hold fewer runs than there are, or none,
        and still have a `next`: each request looks at ten thousand runs at most.
        """
        for name, instant in (("since", since), ("until", until)):
            _check_instant(name, instant, request.query_params.get(name, ""))
        which: dict[str, Any] = {  # Any: keywords of `runs`
            "states": state or (),
            "backfill_id": backfill,
            "since": since,
            "until": until,
        }
        async with self._app.reading() as reader:
            if text is None:
                found = list(await reader.runs(job, **which, before=before, limit=limit + 1))
                last = found[limit - 1].run_id if len(found) > limit else None
            else:
                found, last = await _with_text(reader, job, which, text=text.lower(), before=before, limit=limit)
        return Page(items=[RunView.of(one) for one in found[:limit]], next=last)

    async def show_run(
        self, run_id: Annotated[str, Path(max_length=200, description="its id, or an unambiguous beginning of it")]
    ) -> RunDetailView:
        """Show a run with its value, its traceback and what it logged."""
        async with self._app.reading() as reader:
            record = await reader.run(run_id)
            if record is None:
                raise HTTPException(404, f"there is no run {run_id!r}")
            logs, events = await reader.logs(record.run_id), await reader.events(record.run_id)
            record = self._app.shown_run(record, stored=await reader.config_used(record))
        config = None if record.config is None else decode_json(record.config, dict[str, Any])
        return RunDetailView(
            run=RunView.of(record),
            fence=record.fence,
            epoch=record.epoch,
            config=config,
            value=json_of(record.value),
            traceback=record.error_detail,
            events=[EventView.of(one) for one in events],
            log=[AttemptLogView.of(attempt, log) for attempt, log in logs],
        )


async def _with_text(
    reader: JobReader,
    job: str | None,
    which: dict[str, Any],  # Any: keywords of `runs`
    *,
    text: str,
    before: str | None,
    limit: int,
) -> tuple[list[RunRecord], str | None]:
    """Return runs in which a text occurs, and where to go on, if there may be more."""
    found: list[RunRecord] = []
    for _ in range(_SCANNED // _STEP):
        page: Sequence[RunRecord] = await reader.runs(job, **which, before=before, limit=_STEP)
        for one in page:
            before = one.run_id
            if text in f"{one.run_id}\n{one.job_id}\n{one.error or ''}".lower():
                found.append(one)
                if len(found) == limit:
                    return found, before
        if len(page) < _STEP:
            return found, None
    return found, before


def _check_instant(name: str, given: datetime | None, text: str) -> None:
    if given is not None and "-" not in text[1:]:  # FastAPI takes a number for seconds: 20130310 for a day in 1970
        raise HTTPException(400, f"{name}={text} is a number; give an instant, as 2013-03-10T05:00:00Z")
    if given is not None and given.tzinfo is None:
        example = given.replace(tzinfo=None).isoformat() + "Z"  # a + would be a blank in an address
        raise HTTPException(400, f"{name} needs its offset, as {example}")
