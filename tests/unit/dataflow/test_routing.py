"""Routes reach whom they say; equal keys reach the same worker, in every process."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.dataflow import Edge, Outbound, Runner, stable_hash
from mainspring.dataflow._routing import make_router
from mainspring.errors import ClosedError


class Nowhere:
    """Takes everything."""

    def write(self, data: bytes) -> None: ...


def target(p: object, message: object) -> None: ...


def ways(edge: Edge, count: int = 3) -> list[Outbound]:
    made = [Outbound(edge=edge) for _ in range(count)]
    for one in made:
        one.attach(Nowhere())
    return made


async def loads(edge: Edge, messages: list[object], *, dead: int | None = None) -> list[int]:
    outbound = ways(edge)
    if dead is not None:
        outbound[dead].detach()
    send = make_router(Runner(target, 3, edge=edge), outbound)
    for message in messages:
        send(message)
    return [one.load for one in outbound]


async def test_round_robin_takes_turns() -> None:
    assert [3, 2, 2] == await loads(Edge(), list(range(7)))


async def test_round_robin_passes_over_a_worker_that_is_gone() -> None:
    assert [2, 0, 2] == await loads(Edge(), list(range(4)), dead=1)


async def test_round_robin_passes_over_a_worker_that_does_not_keep_up() -> None:
    edge = Edge(max_waiting=1)
    outbound = ways(edge, 2)
    outbound[0].send("full")
    send = make_router(Runner(target, 2, edge=edge), outbound)
    send("a")
    assert [1, 1] == [one.load for one in outbound]
    send("b")
    assert 3 == sum(one.load for one in outbound)


async def test_broadcast_reaches_all() -> None:
    assert [2, 2, 2] == await loads(Edge(route="broadcast"), [1, 2])


async def test_least_loaded_evens_out() -> None:
    edge = Edge(route="least-loaded")
    outbound = ways(edge)
    for _ in range(4):
        outbound[0].send(0)
    send = make_router(Runner(target, 3, edge=edge), outbound)
    for number in range(8):
        send(number)
    assert [4, 4, 4] == [one.load for one in outbound]


async def test_equal_keys_reach_one_worker() -> None:
    assert [5] == [load for load in await loads(Edge(key=lambda m: "same"), list(range(5))) if load]


async def test_a_last_stage_has_nobody_to_send_to() -> None:
    with pytest.raises(ClosedError, match="end of the topology"):
        make_router(None, [])("x")


@given(st.one_of(st.text(), st.integers(-(2**60), 2**60), st.lists(st.text())))
def test_equal_keys_have_equal_hashes(key: object) -> None:
    assert stable_hash(key) == stable_hash(key)


def test_the_hash_of_a_key_is_the_same_in_another_process() -> None:
    code = "from mainspring.dataflow import stable_hash; print(stable_hash('ACME'))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert stable_hash("ACME") == int(said.stdout)
