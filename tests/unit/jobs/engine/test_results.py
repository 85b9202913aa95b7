"""What callers get back reads as a sentence."""

from dataclasses import replace
from datetime import date

from mainspring.jobs import DataInterval, JobApp


async def test_a_backfill_says_what_it_came_to() -> None:
    app = JobApp("shop", store="memory")

    @app.job("load", cron="0 0 * * *")
    async def load(data_interval: DataInterval) -> None:
        if data_interval.date.day == 2:
            raise ValueError("the file is empty")

    week = date(2013, 1, 1), date(2013, 1, 8)
    first = await (await app.backfill(load, *week)).wait()
    assert "backfill of load finished: 6 of 7 runs succeeded, 1 failed" == str(first)
    none = await (await app.backfill(load, date(2013, 1, 3), week[1])).wait()
    assert "backfill of load finished: nothing was left to run" == str(none)
    early = replace(first, total=8760, exact=False, succeeded=1200, failed=0, running=8)
    assert str(early).endswith("1,200 of about 8,760 runs succeeded, 8 left")
    await app.close()


async def test_a_run_says_how_it_ended() -> None:
    app = JobApp("shop", store="memory")

    @app.job("add")
    async def add(config: dict[str, int]) -> int:
        return config["one"] + 1

    good, bad = await app.run_job("add", {"one": 1}), await app.run_job("add")
    await app.close()
    assert f"run {good.run_id} of add is succeeded" == str(good)
    assert f"run {bad.run_id} of add is failed: KeyError: 'one'" == str(bad)


async def test_a_call_of_a_job_with_intervals_says_that_it_has_none() -> None:
    app = JobApp("shop", store="memory")

    @app.job("load", cron="0 0 * * *")
    async def load(data_interval: DataInterval) -> str:
        return data_interval.start.isoformat()

    @app.job("read")
    async def read() -> None:
        raise AttributeError("'NoneType' object has no attribute 'start'")

    for job, is_told in (("load", True), ("read", False)):
        error = (await app.run_job(job)).error or ""
        assert error.startswith("AttributeError: 'NoneType' object has no attribute 'start'")
        assert is_told is error.endswith(
            "hint: this run has no data interval; scheduled runs and those of a backfill have one"
        )
    await app.close()
