"""The chapter dataflow of the mutil seed: both topologies, as programs with real WebSocket clients."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from contextlib import asynccontextmanager

import pytest
from tests.meta.support_tree import SRC

from mainspring.testing import eventually
from mainspring.transport import connect

pytestmark = pytest.mark.extras

ECHO = """
import json
from collections import namedtuple
from mainspring.compat.mutil import dataflow

async def inboundForward(p, blob, websocket):
    try:
        numbers = json.loads(blob)
    except ValueError:
        await websocket.send(json.dumps({"error": "Only JSON lists are accepted!"}))
        return
    for number in numbers:
        p.outbound[hash(number) % len(p.outbound)].sendWithFilter(number)

def processingLast(p, number):
    for out in p.outbound:
        out.sendWithFilter(number + 1)

async def processingReply(p, number):
    for websocket in list(p.state["clients"]):
        await websocket.send(json.dumps(number))

Inbound = [
    dataflow.WebSocketCxn(
        host="127.0.0.1",
        port=PORTS[0],
        mode=dataflow.NetworkMode.Listen,
        forwardFromClient=inboundForward,
    )
]

Outbound = [
    dataflow.WebSocketCxn(
        host="127.0.0.1",
        port=PORTS[1],
        mode=dataflow.NetworkMode.Listen,
        forwardFromInternal=processingReply,
        filter=lambda x: x % 2 != 0,
    ),
    dataflow.WebSocketCxn(
        host="127.0.0.1",
        port=PORTS[2],
        mode=dataflow.NetworkMode.Listen,
        forwardFromInternal=processingReply,
        filter=lambda x: x % 2 == 0,
    ),
]

topology = [
    dataflow.NetworkRunner(networks=Inbound),
    dataflow.Runner(target=processingLast, howMany=64),
    dataflow.NetworkRunner(networks=Outbound),
]

dflow = dataflow.Dataflow(
    name="echo server!",
    topology=topology,
)

dflow.start()
print("ended")
"""

BARS = """
import json
import os
from mainspring.compat.mutil import dataflow

def barStartup(p):
    p.state["high"] = 0

def barCreator(p, trade):
    p.state["high"] = max(p.state["high"], trade["price"])
    for out in p.outbound:
        out.sendWithFilter({"symbol": trade["symbol"], "high": p.state["high"]})

async def processingReply(p, bar):
    for websocket in list(p.state["clients"]):
        await websocket.send(json.dumps(bar))

async def aggregationSetup(p):
    p.state["highs"] = {}

async def processingReplyForAggregations(p, bar):
    p.state["highs"][bar["symbol"]] = bar["high"]
    for websocket in list(p.state["clients"]):
        await websocket.send(json.dumps(sum(p.state["highs"].values())))

Outbound = [
    dataflow.WebSocketCxn(
        host="127.0.0.1",
        port=PORTS[0],
        mode=dataflow.NetworkMode.Listen,
        forwardFromInternal=processingReply,
    ),
    dataflow.WebSocketCxn(
        host="127.0.0.1",
        port=PORTS[1],
        mode=dataflow.NetworkMode.Listen,
        startup=aggregationSetup,
        forwardFromInternal=processingReplyForAggregations,
    ),
]

topology = [
    dataflow.Runner(target=barCreator, startup=barStartup, readPipes=pipes,),
    dataflow.NetworkRunner(networks=Outbound),
]

dflow = dataflow.Dataflow(
    name="market activity forwarding server!", topology=topology
)

dflow.start()
print("ended")
"""


@asynccontextmanager
async def program(code, ports, pipes=()):
    """Run a program of the seed; its ports and pipes are the prelude."""
    prelude = f"PORTS, pipes = {ports}, {list(pipes)}\n"
    env = os.environ | {"PYTHONPATH": str(SRC)}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", prelude + code, env=env, stdout=PIPE, stderr=PIPE, pass_fds=pipes
    )
    try:
        yield child
        child.send_signal(signal.SIGINT)
        said, complaints = await child.communicate()
        assert (0, b"ended\n") == (child.returncode, said), complaints
        [told] = complaints.splitlines()  # what it waits for, and nothing else
        assert told.endswith(b"a second Ctrl-C or SIGTERM ends it now")
    finally:
        if child.returncode is None:
            child.kill()
            await child.communicate()


async def client(port):
    """Return a WebSocket client, as soon as there is somebody to connect to."""

    async def try_to():
        try:
            return await connect(f"ws://127.0.0.1:{port}", auth_key=None)
        except OSError:
            return None

    return await eventually(try_to, within=40.0)


async def test_echo_server_of_numbers(unused_ports):
    ports = unused_ports(3)
    async with program(ECHO, ports):
        inbound, odd, even = [await client(port) for port in ports]
        async with inbound, odd, even:
            await inbound.write_text("hello")
            assert {"error": "Only JSON lists are accepted!"} == await inbound.read_json()
            await inbound.write_json([1, 2, 3, 4, 5])
            assert [3, 5] == sorted([await odd.read_json() for _ in range(2)])
            assert [2, 4, 6] == sorted([await even.read_json() for _ in range(3)])


async def test_market_data_from_pipes(unused_ports):
    from mainspring.transport import AsyncPipe

    ports = unused_ports(2)
    feeds = [AsyncPipe() for _ in range(2)]
    pipes = [feed.read_fd for feed in feeds]
    async with program(BARS, ports, pipes):
        bars, sums = [await client(port) for port in ports]
        async with bars, sums:
            await feeds[0].write_json({"symbol": "A", "price": 5})
            assert {"symbol": "A", "high": 5} == await bars.read_json()
            await feeds[0].write_json({"symbol": "A", "price": 3})
            assert {"symbol": "A", "high": 5} == await bars.read_json()
            await feeds[1].write_json({"symbol": "B", "price": 7})
            assert {"symbol": "B", "high": 7} == await bars.read_json()
            assert [5, 5, 12] == [await sums.read_json() for _ in range(3)]
    for feed in feeds:
        await feed.close()


@pytest.fixture
def unused_ports(unused_port_factory):
    return lambda count: [unused_port_factory() for _ in range(count)]
