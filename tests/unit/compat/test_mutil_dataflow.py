"""The older names of dataflow do what the native ones do; what callbacks return is not sent."""

import asyncio
from typing import Any

import pytest

from mainspring.compat.mutil import dataflow
from mainspring.errors import InvalidArgumentError
from mainspring.transport import connect

pytestmark = pytest.mark.extras


def forward(p: dataflow.Process, blob: str | bytes) -> str:
    assert dataflow.NetworkMode.Listen is p.mode
    assert p.server in (dataflow.Server.WebSocket, dataflow.Server.Python)
    for out in p.outbound:
        out.send(1)
        out.sendWithFilter(2)
        out.sendAlways(-3)
    return "this is not sent"


async def forward_async(p: dataflow.Process, blob: str | bytes, websocket: Any) -> None:
    await p.outbound[0].asyncSendWithFilter(1)
    await p.outbound[0].asyncSendWithFilter(-2)
    await p.outbound[0].asyncSendAlways(-3)
    await p.outbound[0].asyncSendJSONStringAlways(b'{"n": 4}')
    await websocket.send("done")


@pytest.mark.parametrize(("callback", "expected"), [(forward, [1, 2, -3]), (forward_async, [1, -3, b'{"n": 4}'])])
@pytest.mark.parametrize("kind", [dataflow.WebSocketCxn, dataflow.PythonCxn])
async def test_each_way_of_sending(callback: Any, expected: list[Any], kind: Any) -> None:
    seen: list[Any] = []
    whole = asyncio.Event()

    def target(p: dataflow.Process, obj: bytes) -> None:
        seen.append(obj if obj.startswith(b"{") else int(obj))
        if len(seen) == len(expected):
            whole.set()

    def startup(p: dataflow.Process) -> None:
        assert "<Process 1.0>" == repr(p)
        assert (dataflow.NetworkMode.Worker, None) == (p.mode, p.server)
        p.state["started"] = True

    entry = dataflow.NetworkRunner(networks=[kind(host="127.0.0.1", forwardFromClient=callback)])
    runner = dataflow.Runner(target, how_many=1, filter=lambda x: x > 0, startup=startup)
    async with dataflow.Dataflow(name="f", topology=[entry, runner], mode="inline") as flow:
        host, port = flow.addresses["0.0"]
        scheme = "ws" if kind is dataflow.WebSocketCxn else "tcp"
        async with connect(f"{scheme}://{host}:{port}", auth_key=None) as client, asyncio.timeout(20):
            await client.write_text("x") if scheme == "ws" else await client.write_bytes(b"x")
            await whole.wait()
    assert expected == seen


def test_the_runner_of_the_seed_chooses_by_itself_and_has_its_target_s_name() -> None:
    def bars(p: object, trade: object) -> None: ...

    runner = dataflow.Runner(target=bars, howMany=64)
    assert (64, "manual", "bars") == (runner.width, runner.route, runner.label)


def test_the_arguments_of_a_network_have_their_older_places() -> None:
    key = "a key of sixteen letters or more"
    one = dataflow.NetworkCxn("::1", 1, "/x", dataflow.Server.PythonWebSocket, dataflow.NetworkMode.Connect, key)
    assert "ws://[::1]:1/x" == one.url
    assert "tcp://127.0.0.1:2" == dataflow.PythonCxn("127.0.0.1", 2).url
    assert "ws://127.0.0.1:2/" == dataflow.PythonCxn("127.0.0.1", 2, "/", dataflow.Server.WebSocket).url
    assert {"Hash", "Broadcast"} == {one.name for one in dataflow.Forward}


@pytest.mark.parametrize(
    "options", [{"pipes": []}, {"cxn": 1}, {"proto": "ws"}, {"mode": dataflow.NetworkMode.Worker}, {"mode": "hear"}]
)
def test_what_a_network_cannot_use_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(options))):
        dataflow.WebSocketCxn(**options)


def test_connect_needs_an_address() -> None:
    with pytest.raises(InvalidArgumentError, match="uri="):
        dataflow.WebSocketCxn(mode=dataflow.NetworkMode.Connect)
