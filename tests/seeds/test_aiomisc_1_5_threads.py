"""Chapter 1.5 of the aiomisc seed, through compat: code in threads."""

import asyncio
import hashlib

import pytest

from mainspring.compat import aiomisc


def test_1_5_1_without_the_library() -> None:
    def blocking_io():
        with open("/dev/urandom", "rb") as f:
            return f.read(100)

    async def main():
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(None, blocking_io)
        assert len(result) == 100

    asyncio.run(main())


def test_1_5_1_threaded() -> None:
    @aiomisc.threaded
    def blocking_io():
        with open("/dev/urandom", "rb") as f:
            return f.read(100)

    async def main():
        result = await blocking_io()
        assert len(result) == 100

    aiomisc.run(main())


def test_1_5_2_threaded_separate(capsys: pytest.CaptureFixture[str]) -> None:
    @aiomisc.threaded_separate
    def another_one_useless_coin_miner():
        with open("/dev/urandom", "rb") as f:
            hasher = hashlib.sha256()
            while True:
                hasher.update(f.read(1024))
                if hasher.hexdigest().startswith("00"):  # the seed waits for four zeros
                    return hasher.hexdigest()

    async def main():
        print("Hash is", await another_one_useless_coin_miner())

    aiomisc.run(main())

    assert capsys.readouterr().out.startswith("Hash is 00")


def test_1_5_3_threaded_iterable(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    @aiomisc.threaded_iterable(max_size=8)
    def urandom_reader():
        with open("/dev/urandom", "rb") as fp:
            while True:
                yield fp.read(8)

    async def main():
        counter = 0
        async for chunk in urandom_reader():
            print(chunk)
            counter += 1
            if counter > 16:
                break

    aiomisc.run(main())

    assert len(capsysbinary.readouterr().out.splitlines()) == 17
