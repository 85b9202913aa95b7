"""Running one handler in a test, without a store."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any  # Any: handlers and what replaces their resources have any type

from mainspring.jobs import DataInterval, HandlerResult, JobApp, try_handler


async def run_job(
    handler: Any,
    *,
    interval: DataInterval | tuple[datetime, datetime] | None = None,
    config: Mapping[str, object] | None = None,
    overrides: Mapping[Any, object] | None = None,
    app: JobApp | None = None,
    attempt: int = 1,
) -> HandlerResult:
    """Run one handler once, without a store, and return its value, its items and what it logged.

    What the handler raises goes up, as does what its resources raise. Nothing is written: in the place of each sink
    stands one that refuses what the sink would refuse (rows and files pass through its own checks; a file lies in a
    temporary folder meanwhile), and notes the rest. The log shows no secrets. Neither retry, limiter nor timeout of the
    job counts. Functions meant for worker processes run in threads, with pickled arguments and results.

    Args:
        handler: the function, or with `app` a job's id. Without `app` a job of the default app is known as that job,
            any other function has the options of `@job()`.
        interval: the data interval, or its two ends.
        config: goes over the config of the job's declaration.
        overrides: what the handler gets instead of a resource: a value by the name of its parameter, or a replacement
            by provider, as for `app.override`.
        app: whose job it is, with that job's config, resources and sinks.
        attempt: the number of the attempt that the handler sees.

    Raises:
        UnknownJobError: the app has no such job.
        UnknownResourceError: nothing says what to pass for a parameter.
        InvalidArgumentError: an override is for no parameter; the interval is none, or its ends are naive; two sinks
            have one place, and one of them replaces.
        ConfigError: the config does not fit the job's schema.
        UnroutedItemError, UnknownSinkError, InvalidItemError: no sink of the app takes an item.
        TableSchemaError: the rows of a SqlTable name no columns, so that they could make no table.

    Example:
        >>> async def double(config):
        ...     yield 2 * config["n"]
        >>> import asyncio
        >>> asyncio.run(run_job(double, config={"n": 21})).items
        [42]
    """
    return await try_handler(handler, interval=interval, config=config, overrides=overrides, app=app, attempt=attempt)
