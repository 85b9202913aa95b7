"""What a server says of its program when things are missing or do not answer."""

import asyncio
from importlib.metadata import PackageNotFoundError

import pytest

pytest.importorskip("fastapi")

from tests.unit.web.support_web import make_shop, opened

from mainspring.runtime import HealthReport, entrypoint
from mainspring.web._program import health_of_program, is_ready, no_program, package_version, readiness

pytestmark = pytest.mark.extras


async def test_a_store_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(**_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("mainspring.web._program._STORE_SECONDS", 0.01)
    async with opened(make_shop()) as app:
        monkeypatch.setattr(app.store, "backfills", silent)
        checks = await readiness(app, no_program)
    assert "no answer within 0.01 s" == checks["store"]
    assert not is_ready(checks)


async def test_a_lease_that_has_ended_and_a_program_that_stops_are_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    def long_ago(epoch: int) -> float:
        return 0.0

    async with opened(make_shop()) as app:
        monkeypatch.setattr(app.store, "lease_end", long_ago)
        checks = await readiness(app, lambda: HealthReport(ready=False, healthy=True, services=()))
    assert ("the lease has ended", "not ready: the program is stopping") == (checks["node"], checks["services"])


async def test_the_health_of_the_program_around_is_found() -> None:
    assert no_program is health_of_program()
    async with entrypoint(log_config=False):
        report = health_of_program()()
    assert report is not None
    assert report.ready


def test_a_copy_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    assert package_version()
    package_version.cache_clear()
    monkeypatch.setattr("mainspring.web._program.version", missing)
    assert "unknown" == package_version()
    package_version.cache_clear()
