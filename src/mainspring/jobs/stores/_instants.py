"""The clocks of a store on one host, in microseconds."""

from mainspring.base import current_clock


def now_us() -> int:
    """Return the host's instant in UTC microseconds."""
    return round(current_clock().time() * 1_000_000)


def monotonic_us() -> int:
    """Return microseconds on the clock that leases are counted on."""
    return round(current_clock().monotonic() * 1_000_000)
