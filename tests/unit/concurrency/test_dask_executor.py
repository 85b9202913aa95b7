"""DaskExecutor on a cluster of this machine."""

import asyncio
from collections.abc import AsyncIterator, Generator
from importlib import import_module
from typing import Any

import pytest
from tests.unit.concurrency import support_tasks as tasks

from mainspring.concurrency import DaskExecutor, map_reduce
from mainspring.errors import InvalidArgumentError, MisuseError, UnsafeAddressError, WorkQueueFullError
from mainspring.testing import eventually

pytestmark = [
    pytest.mark.extras,
    pytest.mark.allow_leaks("threads", "descriptors", reason="Dask keeps a few of its own for ever"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture
async def cluster() -> AsyncIterator[Any]:
    distributed: Any = import_module("distributed")  # Any: it comes with half of its types
    async with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        protocol="tcp://",
        dashboard_address=None,
        asynchronous=True,
    ) as cluster:
        yield cluster


async def test_functions_run_on_the_cluster(cluster: Any) -> None:
    async with DaskExecutor(cluster.scheduler_address) as dask:
        assert "open" in repr(dask)
        assert 4 == await dask.create_task(tasks.double, 2)
        assert [0, 2, 4] == await asyncio.gather(*(dask.submit(tasks.double, n) for n in range(3)))
        assert 12 == await map_reduce(lambda n: n * 4, [1, 2], sum, executor=dask)
        with pytest.raises(ValueError, match="no"):
            await dask.submit(tasks.fail, "no")
        with pytest.raises(InvalidArgumentError):
            _ = dask.submit("double")  # type: ignore[arg-type]
    assert "closed" in repr(dask)


async def test_cancel_and_close_take_back_what_waits(cluster: Any) -> None:
    tasks.gate.clear()
    try:
        async with DaskExecutor(cluster) as dask:
            running = [dask.submit(tasks.wait_at_gate, n) for n in range(2)]
            waiting = dask.submit(tasks.double, 1)
            waiting.cancel()
            await eventually(lambda: "waiting=2" in repr(dask))
        assert all(future.cancelled() for future in running)
    finally:
        tasks.gate.set()


async def test_as_a_resource_it_is_connected_unless_it_is(cluster: Any) -> None:
    dask = DaskExecutor(cluster.scheduler_address)
    async with dask.__resource__() as ours:
        assert 4 == await ours.create_task(tasks.double, 2)
        async with dask.__resource__() as again:
            assert ours is again
        assert 6 == await ours.create_task(tasks.double, 3)
    assert "closed" in repr(dask)


async def test_what_may_be_unfinished_is_bounded(cluster: Any) -> None:
    tasks.gate.clear()
    try:
        async with DaskExecutor(cluster, max_unfinished=2) as dask:
            running = [dask.submit(tasks.wait_at_gate, n) for n in range(2)]
            with pytest.raises(WorkQueueFullError, match="create_task"):
                _ = dask.submit(tasks.double, 1)
            later = [asyncio.create_task(dask.create_task(tasks.double, n)) for n in range(20)]
            await asyncio.sleep(0)
            assert not any(task.done() for task in later)
            tasks.gate.set()
            assert [2 * n for n in range(20)] == await asyncio.gather(*later)
            await asyncio.gather(*running)
            tasks.gate.clear()
            running = [dask.submit(tasks.wait_at_gate, n) for n in range(2)]
            refused = asyncio.create_task(dask.create_task(tasks.double, 1))
            await asyncio.sleep(0)
        with pytest.raises(MisuseError):
            await refused
    finally:
        tasks.gate.set()
    with pytest.raises(InvalidArgumentError, match="max_unfinished=-1"):
        DaskExecutor("tcp://127.0.0.1:1", max_unfinished=-1)


async def test_room_that_is_promised_to_who_waits_is_not_taken(cluster: Any) -> None:
    refused: list[Exception] = []

    def push(_: object) -> None:
        try:
            _ = dask.submit(tasks.double, 1)
        except WorkQueueFullError as error:
            refused.append(error)

    tasks.gate.clear()
    try:
        async with DaskExecutor(cluster, max_unfinished=1) as dask:
            running = dask.submit(tasks.wait_at_gate, 1)
            patient = asyncio.create_task(dask.create_task(tasks.double, 2))
            await asyncio.sleep(0)
            (waiter,) = dask._waiting
            waiter.add_done_callback(push)  # when the place is free, and before who waits for it goes on
            tasks.gate.set()
            await asyncio.gather(running, patient)
        assert 1 == len(refused)
    finally:
        tasks.gate.set()


async def test_what_was_submitted_in_the_moment_of_the_end_ends(cluster: Any) -> None:
    """It waited for ever."""
    async with DaskExecutor(cluster) as dask:
        future = dask.submit(tasks.double, 1)
    assert future.cancelled()


async def test_it_must_be_open() -> None:
    with pytest.raises(MisuseError, match="is not open"):
        _ = DaskExecutor("tcp://127.0.0.1:1").submit(tasks.double, 1)


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:8786", "example.org:8786", "tcp://[::2]:1", "ws://example.org"])
def test_open_addresses_of_other_machines_are_refused(address: str) -> None:
    with pytest.raises(UnsafeAddressError, match="Dask runs pickles from whoever connects"):
        DaskExecutor(address)
    assert "closed" in repr(DaskExecutor(address, insecure=True))


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:8786", "localhost:8786", "tls://example.org:8786", "tcp://[::1]:1"]
)
def test_safe_addresses_are_accepted(address: str) -> None:
    assert address in repr(DaskExecutor(address))


class FarCluster:
    """A cluster on another machine, which has an address once it was started."""

    asynchronous = True

    def __init__(self, address: str) -> None:
        self.scheduler_address = address

    def __await__(self) -> Generator[Any, Any, "FarCluster"]:  # Any: nothing is sent
        self.scheduler_address = "tcp://10.0.0.7:8786"
        yield from asyncio.sleep(0).__await__()
        return self


async def test_clusters_on_other_machines_are_refused() -> None:
    """Only addresses given as text were looked at."""
    with pytest.raises(UnsafeAddressError, match=r"tcp://10\.0\.0\.7:8786 is not on this machine"):
        DaskExecutor(FarCluster("tcp://10.0.0.7:8786"))
    assert "closed" in repr(DaskExecutor(FarCluster("tcp://10.0.0.7:8786"), insecure=True))
    later = DaskExecutor(FarCluster("<Not Connected>"))
    with pytest.raises(UnsafeAddressError, match=r"10\.0\.0\.7"):
        await later.start()


async def test_a_cluster_of_this_machine_is_accepted(cluster: Any) -> None:
    async with DaskExecutor(cluster) as dask:
        assert 4 == await dask.create_task(tasks.double, 2)


def test_an_address_is_needed() -> None:
    with pytest.raises(InvalidArgumentError):
        DaskExecutor(None)
