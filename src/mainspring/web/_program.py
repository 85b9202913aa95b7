"""The program that this server is part of: its services, its version, and whether it is ready for work."""

from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final, TypeAlias

from mainspring.errors import DeadlineExceededError, MainspringError, NoEntrypointError
from mainspring.jobs import JobApp
from mainspring.resilience import timeout
from mainspring.runtime import Entrypoint, HealthReport

Health: TypeAlias = Callable[[], HealthReport | None]
"""Tells how the services of the program are; None outside of one."""

_STORE_SECONDS: Final = 2.0
_OK: Final = "ok"


def health_of_program() -> Health:
    """Return what tells how the services of this program are; call it while the program starts."""
    try:
        return Entrypoint.get_current().health
    except NoEntrypointError:
        return no_program


def no_program() -> None:
    """Tell nothing: there is no program of services."""


@cache
def package_version() -> str:
    """Return the version of mainspring."""
    try:
        return version("mainspring")
    except PackageNotFoundError:
        return "unknown"


async def readiness(app: JobApp, health: Health) -> Mapping[str, str]:
    """Return for each check `ok`, or what is wrong."""
    return {
        "app": _OK if app.is_open else "the app is not open",
        "store": await _store_answers(app),
        "node": _node_holds_lease(app),
        "services": _services_are_ready(health()),
    }


def is_ready(checks: Mapping[str, str]) -> bool:
    """Tell whether all is well."""
    return all(said == _OK for said in checks.values())


async def _store_answers(app: JobApp) -> str:
    try:
        async with timeout(_STORE_SECONDS), app.reading() as reader:
            await reader.backfills(limit=1)
    except DeadlineExceededError:
        return f"no answer within {_STORE_SECONDS:g} s"
    except MainspringError as error:
        return type(error).__name__
    return _OK


def _node_holds_lease(app: JobApp) -> str:
    if app.epoch is None:
        return _OK if app.is_open else "no node is registered"  # an app that runs nothing needs none
    return _OK if app.holds_lease else "the lease has ended"


def _services_are_ready(report: HealthReport | None) -> str:
    if report is None:
        return _OK
    waited_for = [one.name for one in report.services if not (one.ready and one.healthy)]
    return (
        _OK if report.ready and report.healthy else f"not ready: {', '.join(waited_for) or 'the program is stopping'}"
    )
