"""Chapter 2.13 of the aiomisc seed: files."""

import hashlib
import os
import tempfile
from pathlib import Path

import pytest

from mainspring.compat import aiomisc
from mainspring.compat.aiomisc import entrypoint, run
from mainspring.compat.aiomisc.io import Compression, async_open
from mainspring.concurrency import threaded

pytestmark = pytest.mark.usefixtures("no_logging")


def test_2_13_a_file_is_written_and_read(capsys: pytest.CaptureFixture[str]) -> None:
    async def file_write():
        with tempfile.TemporaryDirectory() as tmp:
            fname = Path(tmp) / "test.txt"

            afp: aiomisc.io.AsyncTextIO

            async with aiomisc.io.async_open(fname, "w+") as afp:
                await afp.write("Hello")
                await afp.write(" ")
                await afp.write("world")

                await afp.seek(0)
                print(await afp.read())

    with entrypoint() as loop:
        loop.run_until_complete(file_write())
    assert "Hello world\n" == capsys.readouterr().out


def test_2_13_whole_files_are_better_read_in_one_thread() -> None:
    @threaded
    def hash_file(filename, chunk_size=65535, hash_func=hashlib.blake2b):
        hasher = hash_func()

        with open(filename, "rb") as fp:
            for chunk in iter(lambda: fp.read(chunk_size), b""):
                hasher.update(chunk)

        return hasher.hexdigest()

    @threaded
    def fill_random_file(filename, size, chunk_size=65535):
        with open(filename, "wb") as fp:
            while fp.tell() < size:
                fp.write(os.urandom(chunk_size))

            return fp.tell()

    async def main(path):
        filename = path / "one"
        await fill_random_file(filename, 1024 * 1024)
        first_hash = await hash_file(filename)

        filename = path / "two"
        await fill_random_file(filename, 1024 * 1024)
        second_hash = await hash_file(filename)

        assert first_hash != second_hash

    with tempfile.TemporaryDirectory(prefix="random.") as path:
        run(main(Path(path)))


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.BZ2, Compression.LZMA])
def test_2_13_1_files_are_compressed_on_their_way(compression: Compression) -> None:
    async def file_write():
        with tempfile.TemporaryDirectory() as tmp:
            fname = Path(tmp) / "test.txt"

            async with async_open(fname, "w+", compression=compression) as afp:
                for _ in range(10000):
                    await afp.write("Hello World\n")

            file_size = fname.stat().st_size
            assert file_size < 10000, f"File too large {file_size} bytes"

    run(file_write())
