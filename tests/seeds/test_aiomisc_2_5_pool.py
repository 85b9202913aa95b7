"""Chapter 2.5 of the aiomisc seed: a pool of connections, against a real server."""

# The code of the seed stands as it is, without the types that a checker wants.
# mypy: disable-error-code="call-arg, no-redef, attr-defined, type-arg, arg-type, name-defined"

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from mainspring.compat import aiomisc as aiomisc_module
from mainspring.testing import ValkeyServer

pytestmark = pytest.mark.extras


def test_2_5_redis_pool(valkey_server: ValkeyServer, capsys: pytest.CaptureFixture[str]) -> None:
    redis: Any = pytest.importorskip("redis.asyncio")
    made: list[Any] = []

    # The client of the seed is no more: the same calls, over redis.asyncio.
    class Client(redis.Redis):  # type: ignore[misc]  # a class of a library that may be absent
        def close(self):
            pass

        async def wait_closed(self):
            await self.aclose()

        async def ping(self, *words):
            return await super().ping()

    async def create_redis(uri):
        made.append(Client.from_url(valkey_server.url))
        return made[-1]

    aioredis = SimpleNamespace(Redis=Client, create_redis=create_redis)
    aiomisc = aiomisc_module

    class RedisPool(aiomisc.PoolBase):
        def __init__(self, uri, maxsize=10, recycle=60):
            super().__init__(maxsize=maxsize, recycle=recycle)
            self.uri = uri

        async def _create_instance(self):
            return await aioredis.create_redis(self.uri)

        async def _destroy_instance(self, instance: aioredis.Redis):
            instance.close()
            await instance.wait_closed()

        async def _check_instance(self, instance: aioredis.Redis):
            try:
                await asyncio.wait_for(instance.ping(1), timeout=0.5)
            except:  # noqa: E722  # as the seed has it
                return False

            return True

    async def main():
        pool = RedisPool("redis://localhost")
        async with pool.acquire() as connection:
            await connection.set("foo", "bar")

        async with pool.acquire() as connection:
            print(await connection.get("foo"))

    async def whole():
        await main()
        for client in made:
            await client.aclose()

    asyncio.run(whole())
    assert "b'bar'\n" == capsys.readouterr().out
    assert len(made) in (1, 2)  # two when the server took more than half a second for a ping
