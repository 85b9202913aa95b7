"""The chapters aiopipe, aioserver and wproxy of the mutil seed."""

import asyncio
import json
import os
from typing import Any

import pytest
from tests.unit.transport.support_feed import Client, Feed

from mainspring.compat.mutil.aiopipe import AsyncPIPE
from mainspring.compat.mutil.aioserver import ClientTCP, ClientUnix, ServerTCP, ServerUnix
from mainspring.compat.mutil.wproxy import Server, WProxy
from mainspring.concurrency import start_child
from mainspring.testing import eventually

SECRET = "the secret that both ends share"


async def test_aiopipe_json_and_bytes() -> None:
    n = 3
    pipe = AsyncPIPE(headerBytes=n)
    pipe.setup()
    x = {"rows": [1, 2.5, "three"]}
    await pipe.writePickle(x)
    assert x == await pipe.readPickle()
    await pipe.writeWithHeader(b"no conversion")
    assert b"no conversion" == bytes(await pipe.readActual())
    pipe.close()


async def test_aiopipe_reads_a_descriptor_from_its_parent() -> None:
    fd, theirs = os.pipe()
    child = await start_child(os.write, (theirs, (5).to_bytes(4, "little") + b"hello"), start_method="fork")
    os.close(theirs)
    pipe = AsyncPIPE(readFromFd=fd)
    pipe.setup()
    assert b"hello" == bytes(await pipe.readActual())
    await child.wait()
    pipe.close()


@pytest.mark.parametrize("kind", ["tcp", "unix"])
async def test_aioserver_reads_with_a_generator(kind, tmp_path, capsys) -> None:
    async def send(cxn):
        await cxn.writeObj({"hello": "client"})
        await cxn.readBytes()

    server: Any
    client: Any
    if kind == "tcp":
        server = ServerTCP(send, authKey=SECRET)
        await server.listen()
        client = ClientTCP(authKey=SECRET, port=int(server.address.rsplit(":", 1)[1]))
    else:
        server = ServerUnix(send, authKey=SECRET, path=tmp_path / "socket")
        await server.listen()
        client = ClientUnix(authKey=SECRET, path=tmp_path / "socket")
    await client.connect()
    async for dataSize, chunk in client.readBytesStreaming():
        print(dataSize, chunk)
    assert '18 b\'{"hello":"client"}\'\n' == capsys.readouterr().out
    await client.close()
    await server.shutdown()


async def test_aioserver_sends_files_and_bytes_prepared_once(tmp_path) -> None:
    (tmp_path / "served").write_bytes(b"contents")

    async def serve(cxn):
        name = await cxn.readObj()
        await cxn.writeFromFile(tmp_path / name, prefix=b"name:")
        await cxn.writeEncodedBytes(cxn.preparePickleWithHeader({"sent": name}))

    server = ServerTCP(serve, authKey=SECRET)
    await server.listen()
    client = ClientTCP(authKey=SECRET, port=int(str(server.address).rsplit(":", 1)[1]))
    await client.connect()
    await client.writeObj("served")
    assert client.cxn is not None
    assert 13 == await client.cxn.getHeaderSize()
    assert 13 == await client.readIntoFile(tmp_path / "received")
    assert b"name:contents" == (tmp_path / "received").read_bytes()
    assert {"sent": "served"} == await client.cxn.readObj()
    await client.close()
    await server.shutdown()


@pytest.mark.extras
async def test_wproxy_rebroadcasts_one_upstream() -> None:
    async with Feed() as feed:
        proxy = WProxy(listen=("127.0.0.1", 0), server=Server(feed.address))
        await proxy.setup()
        pumping = asyncio.create_task(proxy.proxy())
        clients = [await Client.dial(str(proxy.address)) for _ in range(2)]
        for client in clients:
            message = {"subscribe:all": True}
            assert json.dumps(message) == await client.say(message)
        await eventually(lambda: feed.connections)
        await feed.send([{"sym": "A"}])
        assert [[{"sym": "A"}]] * 2 == [await client.read() for client in clients]
        for client in clients:
            await client.close()
        pumping.cancel()
        await asyncio.wait({pumping})
