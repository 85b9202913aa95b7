"""Programs around the services under test."""

from mainspring.runtime import Entrypoint, Service


def program(*services: Service) -> Entrypoint:
    """Return a program on the loop of the test that configures nothing."""
    return Entrypoint(*services, log_config=False, catch_signals=())
