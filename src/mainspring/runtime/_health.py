"""What the services of a program say about themselves."""

from collections.abc import Iterable
from dataclasses import dataclass

from mainspring.runtime._hosted import Hosted


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """One service: its class, `starting|running|restarting|failed|stopping|stopped`, and whether it is well."""

    name: str
    state: str
    ready: bool
    healthy: bool
    restart_count: int
    error: str | None


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The services of one program at one moment; `ready` and `healthy` only when all of them are."""

    ready: bool
    healthy: bool
    services: tuple[ServiceHealth, ...]


def health_of(hosted: Iterable[Hosted], *, closing: bool) -> HealthReport:
    """Ask each service; a program that is closing is not ready."""
    services = tuple(_ask(one) for one in hosted)
    return HealthReport(
        ready=not closing and all(one.ready for one in services),
        healthy=all(one.healthy for one in services),
        services=services,
    )


def _ask(one: Hosted) -> ServiceHealth:
    error = one.error
    try:
        healthy = one.state != "failed" and bool(one.service.healthy())
    except Exception as caught:  # noqa: BLE001  # supervisor: a service that cannot say so is not healthy
        healthy, error = False, caught
    return ServiceHealth(
        name=one.name,
        state=one.state,
        ready=one.service.ready and one.state == "running",
        healthy=healthy,
        restart_count=one.restart_count,
        error=None if error is None else f"{type(error).__name__}: {error}",
    )
