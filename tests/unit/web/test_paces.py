"""Each client has a pace of its own, in a table that never grows beyond its bound."""

import asyncio

import pytest

from mainspring.testing import VirtualClock
from mainspring.web._paces import Paces, client_name


def taken(paces: Paces, client: str, count: int) -> list[bool]:
    """Return which of so many requests at once are admitted."""
    return [paces.take(client) == 0.0 for _ in range(count)]


async def test_a_client_may_burst_and_then_keeps_its_rate(virtual_clock: VirtualClock) -> None:
    paces = Paces(2, 3)
    assert [True, True, True, False] == taken(paces, "10.0.0.1", 4)
    assert 0.5 == pytest.approx(paces.take("10.0.0.1"))
    assert [True] == taken(paces, "10.0.0.2", 1)
    await asyncio.sleep(0.5)
    assert [True, False] == taken(paces, "10.0.0.1", 2)
    await asyncio.sleep(60.0)
    assert [True, True, True, False] == taken(paces, "10.0.0.1", 4)


async def test_a_full_table_drops_those_who_have_recovered(virtual_clock: VirtualClock) -> None:
    paces = Paces(1, 1, max_clients=3)
    for number in range(3):
        assert [True] == taken(paces, f"10.0.0.{number}", 1)
    await asyncio.sleep(2.0)
    assert [True, False] == taken(paces, "10.0.0.1", 2)
    assert [True] == taken(paces, "10.0.0.9", 1)
    assert 2 == len(paces)
    assert [False] == taken(paces, "10.0.0.1", 1)


async def test_many_addresses_at_once_gain_nothing_and_cost_nothing(virtual_clock: VirtualClock) -> None:
    paces = Paces(1, 2, max_clients=10)
    admitted = sum(paces.take(f"10.1.{number // 250}.{number % 250}") == 0.0 for number in range(1000))
    assert (10 + 2, 10) == (admitted, len(paces))
    assert [True, False] == taken(paces, "10.1.0.3", 2), "who was there before is not kept out"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("", "testclient", False),
    ],
)
def test_a_client_is_an_address_or_a_network(one: str, other: str, same: bool) -> None:
    assert same == (client_name(one) == client_name(other))
