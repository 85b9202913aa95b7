"""`mainspring proxy`, as a program that is started and ended."""

import asyncio
import json
import signal
import ssl
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any  # Any: what another library makes

import pytest

pytest.importorskip("typer")

from tests.unit.transport.support_feed import Client, Feed

from mainspring.cli import run_command_line
from mainspring.testing import eventually
from mainspring.transport import connect

pytestmark = pytest.mark.extras


@asynccontextmanager
async def _program(*argv: str) -> AsyncGenerator[tuple[asyncio.subprocess.Process, str]]:
    command = [sys.executable, "-m", "mainspring", "proxy", "--listen", "ws://127.0.0.1:0", *argv]
    program = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert program.stdout is not None
    async with asyncio.timeout(30):
        first = (await program.stdout.readline()).decode()
    try:
        yield program, first
    finally:
        program.send_signal(signal.SIGINT)
        assert 0 == await program.wait()


async def test_it_rebroadcasts_until_it_is_ended() -> None:
    async with Feed() as feed, _program("--json", "--by", "sym", "--tell", feed.address) as (_, first):
        started = json.loads(first)
        assert feed.address == started["upstream"]
        client = await Client.dial(started["listen"])
        await client.say({"subscribe": ["A"]})
        await eventually(lambda: {"subscribe": ["A"]} in feed.told)
        await feed.send([{"sym": "A", "p": 1}, {"sym": "B"}])
        assert {"sym": "A", "p": 1} == await client.read()
        await client.say({"unsubscribe": ["A"]})
        await eventually(lambda: {"unsubscribe": ["A"]} in feed.told)
        await client.close()


async def test_it_says_what_it_does_and_takes_tokens_from_a_file(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("a token of enough characters\n")
    async with Feed() as feed, _program("--tokens", str(tokens), feed.address) as (_, first):
        address, verb, upstream, *_ = first.split()
        assert ("rebroadcasts", f"{feed.address};") == (verb, upstream)
        client = await Client.dial(address)
        assert "accepted" in await client.say({"token": "a token of enough characters"})
        await client.close()


async def test_it_serves_with_a_certificate(tmp_path: Path) -> None:
    import trustme

    authority: Any = trustme.CA()  # Any: it speaks of another TLS library as well
    pem, context = tmp_path / "certificate.pem", ssl.create_default_context()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(pem))
    authority.configure_trust(context)
    argv = ("--json", "--listen", "wss://127.0.0.1:0", "--certificate", str(pem))
    async with Feed() as feed, _program(*argv, feed.address) as (_, first):
        address = json.loads(first)["listen"]
        assert address.startswith("wss://")
        async with connect(address, auth_key=None, ssl=context) as client:
            await client.write_json({"subscribe:all": True})
            assert {"subscribe:all": True} == await client.read_json()
            await eventually(lambda: feed.connections)
            await feed.send("x")
            assert "x" == await client.read_json()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["http://x"], "UPSTREAM='http://x'"),
        (["--listen", "here", "ws://127.0.0.1:1"], "--listen='here'"),
        (["--listen", "ws://0.0.0.0:0", "ws://127.0.0.1:1"], "unencrypted"),
        (["--tokens", "nothing", "ws://127.0.0.1:1"], "--tokens"),
        (["--certificate", "nothing", "--listen", "wss://127.0.0.1:0", "ws://127.0.0.1:1"], "--certificate"),
        (["--certificate", __file__, "--listen", "wss://127.0.0.1:0", "ws://127.0.0.1:1"], "expected a PEM file with"),
    ],
)
def test_what_cannot_work_is_a_sentence(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == run_command_line(["proxy", *argv])
    assert said in capsys.readouterr().err
