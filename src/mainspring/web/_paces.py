"""How fast each client may ask, in bounded memory.

A client is an address; all of an IPv6 network of 64 bits counts as one, since whoever has one address there has all of
them. A table holds so many clients at most. When it is full, those whose pace has recovered are dropped, which forgets
nothing; if none has, clients that come then share one pace, so that nobody gains by coming from many addresses.
"""

from ipaddress import IPv6Address, ip_address
from typing import Final

from mainspring.base import current_clock
from mainspring.resilience import GCRA

MAX_CLIENTS: Final = 1000
_NAME: Final = "web"  # of the counters of all paces together
_NETWORK_BYTES: Final = 8
_LOOK_SECONDS: Final = 1.0


class Paces:
    """A limiter for each client: `rate` requests a second, and `burst` at once after a pause.

    Args:
        max_clients: of which it knows at once.
    """

    def __init__(self, rate: float, burst: int, *, max_clients: int = MAX_CLIENTS) -> None:
        self._rate = rate
        self._burst = burst
        self._max_clients = max_clients
        self._paces: dict[str, GCRA] = {}
        self._shared = self._make()
        self._next_look = 0.0

    def __len__(self) -> int:
        return len(self._paces)

    def take(self, client: str) -> float:
        """Count a request; return 0.0, or the seconds after which it would be admitted."""
        name = client_name(client)
        pace = self._paces.get(name)
        if pace is None:
            pace = self._admit(name)
        return pace.try_acquire() or 0.0

    def _admit(self, name: str) -> GCRA:
        if len(self._paces) >= self._max_clients:
            self._drop_recovered()
        if len(self._paces) >= self._max_clients:
            return self._shared
        return self._paces.setdefault(name, self._make())

    def _drop_recovered(self) -> None:
        """Make room, at most once a second: it looks at the whole table."""
        now = current_clock().monotonic()
        if now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            self._paces = {name: pace for name, pace in self._paces.items() if pace.stats().used}

    def _make(self) -> GCRA:
        return GCRA(1, 1.0 / self._rate, burst=self._burst, max_waiters=1, statistic_name=_NAME)


def client_name(address: str) -> str:
    """Return what stands for all the addresses of one client."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return found.packed[:_NETWORK_BYTES].hex()
