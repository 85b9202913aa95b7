"""Wrong declarations are refused where they are written, with file and line."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mainspring.base import Backoff
from mainspring.errors import InvalidArgumentError, JobDefinitionError
from mainspring.jobs import At, Cron, Every, JobApp, Missed, Need
from mainspring.jobs.engine._definition import HandlerForm


async def handler() -> None: ...


def plain() -> None: ...


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cron": "61 * * * *"}, "61"),
        ({"cron": "* * * *"}, "cron"),
        ({"cron": "0 * * * *", "timezone": "Mars/Olympus"}, "tz database"),
        ({"cron": "0 * * * *", "every": 60}, "only one of them"),
        ({"every": -1}, "every"),
        ({"at": datetime(2013, 1, 1)}, "aware"),  # noqa: DTZ001
        ({"at": date(2013, 1, 1)}, "an aware datetime"),
        ({"at": "2013-01-01T00:00Z"}, "an aware datetime"),
        ({"retry": -1}, "retry"),
        ({"retry": True}, "retry"),
        ({"retry": Backoff(1.0)}, "max_tries"),
        ({"timeout": 0}, "timeout"),
        ({"every": 1, "delay": -1}, "seconds >= 0"),
        ({"every": 1, "max_lookback": -1}, "seconds > 0"),
        ({"every": 1, "misfire_grace_time": 0}, "seconds > 0"),
        ({"every": 1, "max_instances": 0}, "an int >= 1"),
        ({"every": 1, "overlap": "drop"}, "'queue', 'skip' or 'allow'"),
        ({"every": 1, "start_at": datetime(2013, 1, 1)}, "an aware datetime"),  # noqa: DTZ001
        ({"every": 1, "missed": "some"}, "one of 'all'"),
        ({"every": 1, "missed": "all", "coalesce": True}, "options that agree"),
        ({"executor": "thread"}, "runs on the loop"),
        ({"executor": "moon"}, "is not one of"),
        ({"job_id": "x" * 201}, "job_id"),
        ({"job_id": ""}, "job_id"),
        ({"job_id": 5}, "job_id"),
        ({"job_id": "*"}, "not '\\*', which means all jobs"),
        ({"job_id": "load \ud800"}, "a text that UTF-8 can write"),
        ({"was": ["old \ud800"]}, "a list of job ids"),
        ({"crom": "0 * * * *"}, "option='crom' is not accepted"),
        ({"every": 1, "start_at": date(2013, 1, 1)}, "start_at=2013-01-01 is not accepted: expected an aware datetime"),
        ({"every": 1, "needs": [plain]}, "there is no job 'plain'"),
        ({"sink": print}, "yields its items, takes ctx"),
        ({"cancel_grace": -1}, "cancel_grace"),
        ({"timezone": "UTC"}, "timezone"),
        ({"start_at": datetime(2013, 1, 1, tzinfo=UTC)}, "start_at"),
        ({"delay": 1}, "delay"),
        ({"jitter": 1}, "jitter"),
        ({"missed": "all"}, "missed"),
        ({"max_lookback": 1}, "max_lookback"),
        ({"misfire_grace_time": 1}, "misfire_grace_time"),
        ({"coalesce": True}, "coalesce"),
        ({"stateful": True}, "stateful"),
        ({"backfill_policy": "skip"}, "backfill_policy"),
        ({"needs": ("other",)}, "needs"),
        ({"max_instances": 2}, "a job with cron=, every= or at="),
        ({"overlap": "queue"}, "overlap"),
        ({"concurrency_key": "k"}, "concurrency_key"),
        ({"at": datetime(2013, 1, 1, tzinfo=UTC), "timezone": "Europe/Berlin"}, "no zone beside at="),
        ({"every": 1, "overlap": "allow", "max_instances": 2}, "'allow' lifts every limit"),
        ({"every": 1, "overlap": "allow", "concurrency_key": "k"}, "'allow' lifts every limit"),
    ],
)
def test_a_wrong_option_is_refused_with_file_and_line(options: dict[str, Any], said: str) -> None:
    with pytest.raises(JobDefinitionError, match=said) as caught:
        JobApp("t").job(**options)(handler)
    assert f"{Path(__file__).name}:" in caught.value.place


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"corn": "0 * * * *"}, "did you mean 'cron'?"),
        ({"interval": 60}, "write every=, in seconds"),
        ({"every": "10m"}, "write 600, a number of seconds"),
        ({"every": timedelta(minutes=1.5)}, "write 90, a number of seconds"),
        ({"timeout": "60"}, "write 60, a number of seconds"),
        ({"every": 1, "max_lookback": timedelta(days=1)}, "write 86400, a number of seconds"),
        ({"cron": "@daily", "timezone": "Europe/Lisboa"}, "did you mean 'Europe/Lisbon'?"),
        ({"cron": "@daily", "timezone": "Mars/Olympus"}, "write it as Area/City, for example Europe/Berlin, or UTC"),
        ({"every": 1, "start_at": datetime(2013, 1, 1)}, "give it a zone"),  # noqa: DTZ001
        ({"sink": print}, "yield each item"),
    ],
)
def test_a_wrong_option_comes_with_the_right_one(options: dict[str, Any], hint: str) -> None:
    with pytest.raises(JobDefinitionError) as caught:
        JobApp("t").job(**options)(handler)
    assert hint in (caught.value.hint or "")


def test_a_decorator_without_its_brackets_is_refused() -> None:
    misused: Any = JobApp("t").job
    with pytest.raises(
        JobDefinitionError, match=r"test_registry.py:\d+: job 'plain': .* without its brackets"
    ) as caught:
        misused(plain)
    assert caught.value.hint == "write @app.job() instead of @app.job"


def test_a_job_may_be_needed_by_its_function() -> None:
    app = JobApp("t")
    app.job("hourly", every=60)(plain)
    app.job("daily", every=3600, needs=[plain, "hourly"])(handler)
    assert app.jobs["daily"].needs == (Need("hourly"), Need("hourly"))


def test_whoever_takes_ctx_or_a_resource_may_have_a_sink() -> None:
    app = JobApp("t")

    async def emits(ctx: object) -> None: ...

    async def borrows(api: object) -> None: ...

    async def silent(data_interval: object, config: object) -> None: ...

    for function in (emits, borrows):
        app.job(sink=print)(function)
    with pytest.raises(JobDefinitionError, match="this one does none of these"):
        app.job(sink=print)(silent)


@pytest.mark.parametrize("function", [7, "text", dict])
def test_only_functions_can_be_jobs(function: Any) -> None:
    with pytest.raises(JobDefinitionError, match="is not a function") as caught:
        JobApp("t").job("x")(function)
    assert f"{Path(__file__).name}:" in caught.value.place


def test_a_handler_without_a_name_needs_an_id() -> None:
    app = JobApp("t")
    nameless = partial(plain)
    app.job("named")(nameless)
    with pytest.raises(JobDefinitionError, match="an id for a handler without a name"):
        app.job()(nameless)


def test_an_id_is_taken_once() -> None:
    app = JobApp("t")
    app.job("same")(handler)
    with pytest.raises(JobDefinitionError, match="the id is taken by the job at"):
        app.job("same")(plain)


def test_jobs_under_one_key_say_the_same_number_or_the_later_one_is_refused() -> None:
    """The job with the lower number would begin only beside fewer than its own number of the others."""
    app = JobApp("a")
    app.job("busy", every=1, concurrency_key="api", max_instances=3)(plain)
    with pytest.raises(JobDefinitionError, match=r"'busy' at .*test_registry\.py:\d+ has max_instances=3") as refused:
        app.job("starved", every=1, concurrency_key="api")(plain)
    assert "test_registry.py:" in refused.value.place
    assert "max_instances=1 with concurrency_key='api'" in str(refused.value)
    app.job("equal", every=1, concurrency_key="api", max_instances=3)(plain)
    app.job("elsewhere", every=1, concurrency_key="other", max_instances=2)(plain)
    app.job("alone", every=1, max_instances=5)(plain)
    assert {"busy", "equal", "elsewhere", "alone"} == app.jobs.keys()


def test_a_method_names_its_job_though_each_look_at_it_is_another_object() -> None:
    class Loader:
        async def load(self) -> None: ...

    app, one, two = JobApp("t"), Loader(), Loader()
    app.job("one")(one.load)
    app.job("two")(two.load)
    assert ["one", "two"] == [app.definition(loader.load).job_id for loader in (one, two)]


def test_a_function_of_several_jobs_names_none_of_them() -> None:
    app = JobApp("t")
    app.job("one")(handler)
    app.job("two")(handler)
    assert "two" == app.definition("two").job_id
    with pytest.raises(InvalidArgumentError, match=r"job='handler' .* its jobs are several: 'one', 'two'"):
        app.definition(handler)


def test_the_decorator_returns_the_function_unchanged() -> None:
    app = JobApp("t")
    assert app.job()(handler) is handler
    assert list(app.jobs) == ["handler"]


def test_forms_and_schedules_are_recognised() -> None:
    app = JobApp("t")

    async def items() -> Any:
        yield 1

    def many() -> Any:
        yield 1

    wanted: dict[str, tuple[Callable[..., Any], HandlerForm]] = {
        "a": (handler, HandlerForm.COROUTINE),
        "b": (items, HandlerForm.ASYNC_GENERATOR),
        "c": (plain, HandlerForm.FUNCTION),
        "d": (many, HandlerForm.GENERATOR),
    }
    for job_id, (function, _) in wanted.items():
        app.job(job_id)(function)
    assert {job_id: form for job_id, (_, form) in wanted.items()} == {i: one.form for i, one in app.jobs.items()}
    assert [app.jobs[job_id].executor for job_id in wanted] == ["loop", "loop", "thread", "thread"]


def test_options_reach_the_definition() -> None:
    app = JobApp("t")
    app.job("cron", cron="@hourly", stateful=True, needs=("every", Need("every", offset=-60)), retry=3)(handler)
    app.job("every", every=60, timezone="Europe/Berlin", overlap="allow", retry=0)(handler)
    app.job("at", at=datetime(2013, 1, 1, tzinfo=UTC), concurrency_key="k", max_instances=2)(plain)
    cron, every, at = app.jobs.values()
    assert (cron.schedule, cron.missed) == (Cron("@hourly"), Missed.ALL)
    assert cron.needs == (Need("every"), Need("every", offset=-60))
    assert cron.retry is not None
    assert cron.retry.max_tries == 4
    assert (every.schedule, every.retry, every.limits) == (Every(60, timezone="Europe/Berlin"), None, ())
    assert every.timezone == "Europe/Berlin"
    assert (every.grace, cron.max_lookback) == (60.0, None)
    app.job("skip", every=60, missed="skip", misfire_grace_time=9)(plain)
    assert (app.jobs["skip"].grace, app.jobs["skip"].max_lookback) == (9, 9)
    assert at.schedule == At(datetime(2013, 1, 1, tzinfo=UTC))
    assert at.limits == (("job:at", 2), ("key:k", 2))
