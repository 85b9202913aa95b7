"""The three scenarios of the seed run as its text promises, each as a program of its own."""

import asyncio
import os
import re
import resource
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "piko"


async def _program(name: str, state: Path, *arguments: str) -> str:
    """Run a scenario to its end and return what it printed."""
    environment = {**os.environ, "MAINSPRING_STATE_DIR": str(state)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(FOLDER / name), *arguments, env=environment, stdout=-1, stderr=-1
    )
    async with asyncio.timeout(50):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode()


@asynccontextmanager
async def _answers_when_all_are_there(count: int) -> AsyncGenerator[str]:
    """Serve an endpoint that answers nobody until `count` requests are open."""
    from aiohttp import web

    waiting, all_there = 0, asyncio.Event()

    async def price(request: web.Request) -> web.Response:
        nonlocal waiting
        waiting += 1
        if waiting == count:
            all_there.set()
        await all_there.wait()
        return web.json_response({"price": int(request.match_info["symbol"].removeprefix("STK_"))})

    application = web.Application()
    application.router.add_get("/{symbol}", price)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=2048)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/"
    finally:
        await runner.cleanup()


@pytest.mark.extras
async def test_a_thousand_runs_are_open_at_once_and_each_sees_its_config(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    try:
        async with _answers_when_all_are_there(1000) as endpoint:
            output = await _program("scenario_1_network.py", tmp_path, endpoint)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    seen = {(int(symbol), int(price)) for symbol, price in re.findall(r"\[STK_(\d+)\] Price: (\d+) at ", output)}
    assert {(n, n) for n in range(1000)} == seen


async def test_five_thousand_runs_share_a_pool_of_fifty(tmp_path: Path) -> None:
    output = await _program("scenario_2_shared_pool.py", tmp_path)
    assert output.count("Write success") == 5000
    assert "ok 5000 most used 50 left 0 0" in output
    found = re.search(r"most asked (\d+)", output)
    assert found is not None
    assert int(found[1]) >= 2000


async def test_a_process_pool_works_while_the_loop_keeps_ticking(tmp_path: Path) -> None:
    output = await _program("scenario_3_processes.py", tmp_path)
    assert "Calculation done. Result: 104857600" in output
    found = re.search(r"ok True ticks (\d+)", output)
    assert found is not None
    assert int(found[1]) > 100  # of the thousand that fit into its ten seconds
