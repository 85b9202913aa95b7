"""Who may come in: every rule refuses by itself, and what passes them all is answered."""

import asyncio

import pytest

pytest.importorskip("fastapi")

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send
from tests.unit.web.support_web import Client

from mainspring.errors import InvalidArgumentError
from mainspring.testing import VirtualClock
from mainspring.web._guard import COOKIE, Access, Guard, host_name
from mainspring.web._token import WebToken

pytestmark = pytest.mark.extras

TOKEN = WebToken("0123456789abcdef")
BEARER = f"Bearer {TOKEN.secret}"
MINE = f"{COOKIE}={TOKEN.cookie}"


async def echo(request: Request) -> Response:
    body = await request.body()
    return PlainTextResponse(f"{request.method} {len(body)}", headers={"X-Frame-Options": "SAMEORIGIN"})


def client(**headers: str) -> Client:
    return guarded(Access(token=TOKEN, max_body=1000), **headers)


def guarded(access: Access, **headers: str) -> Client:
    methods = ["GET", "HEAD", "POST"]
    routes = [Route(path, echo, methods=methods) for path in ("/", "/healthz", "/readyz", "/x")]
    return Client(Guard(Starlette(routes=routes), access), headers)


async def test_the_token_opens_as_bearer_and_as_cookie() -> None:
    assert 401 == (await client().get("/x")).status
    assert 200 == (await client(authorization=BEARER).get("/x")).status
    assert 200 == (await client(authorization=BEARER.replace("Bearer", "bearer")).get("/x")).status
    assert 200 == (await client(cookie=MINE).get("/x")).status
    for wrong in ("Bearer 0123456789abcdeF", f"Basic {TOKEN.secret}", f"Bearer {TOKEN.cookie}", "Bearer"):
        refused = await client(authorization=wrong).get("/x")
        assert (401, 'Bearer realm="mainspring"') == (refused.status, refused.headers["www-authenticate"])
        assert "application/problem+json" == refused.headers["content-type"]
        assert refused.json["detail"] == "this needs the token"
    assert 401 == (await client(cookie=f"{COOKIE}={TOKEN.secret}").get("/x")).status
    assert 401 == (await client().get(f"/x?token={TOKEN.secret}")).status  # never by the address


async def test_a_wrong_bearer_is_not_healed_by_a_cookie() -> None:
    assert 401 == (await client(authorization="Bearer wrong", cookie=MINE).get("/x")).status


async def test_health_is_public_for_looking_only() -> None:
    assert 200 == (await client().get("/healthz")).status
    assert 200 == (await client().send("HEAD", "/readyz")).status
    assert 401 == (await client().send("POST", "/healthz")).status


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "", "localhost.evil.example", "[::2]"])
async def test_other_hosts_are_not_answered(host: str) -> None:
    for path in ("/healthz", "/x", "/login"):
        assert 421 == (await client(authorization=BEARER, host=host).get(path)).status


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8787", "127.0.0.1:1", "[::1]", "[::1]:80"])
async def test_the_names_of_this_machine_are_answered(host: str) -> None:
    assert 200 == (await client(authorization=BEARER, host=host).get("/x")).status
    assert host_name(host) in ("localhost", "127.0.0.1", "::1")


async def test_the_link_sets_a_cookie_that_only_this_site_gets() -> None:
    answer = await client().get(f"/login?token={TOKEN.secret}")
    assert (303, "/") == (answer.status, answer.headers["location"])
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(MINE)
    for part in ("HttpOnly", "SameSite=strict", "Path=/"):
        assert part in cookie
    assert "Secure" not in cookie
    assert TOKEN.secret not in cookie
    assert (
        "Secure"
        in (await guarded(Access(token=TOKEN, secure=True)).get(f"/login?token={TOKEN.secret}")).headers["set-cookie"]
    )
    assert "no-referrer" == answer.headers["referrer-policy"]
    for wrong in ("/login", "/login?token=no"):
        refused = await client().get(wrong)
        assert (401, False) == (refused.status, "set-cookie" in refused.headers)
    assert 405 == (await client().send("POST", f"/login?token={TOKEN.secret}")).status


async def test_changes_come_from_a_page_of_ours_or_from_a_program() -> None:
    async def change(**headers: str) -> int:
        return (await client(**headers).send("POST", "/x")).status

    assert 200 == await change(authorization=BEARER)
    assert 403 == await change(cookie=MINE)
    assert 200 == await change(cookie=MINE, origin="http://localhost")
    assert 200 == await change(cookie=MINE, sec_fetch_site="same-origin")
    assert 200 == await change(cookie=MINE, host="localhost:8787", origin="http://localhost:8787")
    assert 403 == await change(cookie=MINE, host="localhost:8787", origin="http://localhost:1")
    assert 403 == await change(cookie=MINE, origin="null")
    for site in ("cross-site", "same-site", "none"):
        assert 403 == await change(cookie=MINE, sec_fetch_site=site)
        assert 403 == await change(authorization=BEARER, sec_fetch_site=site)
    assert 403 == await change(authorization=BEARER, origin="http://evil.example")


async def test_large_requests_are_cut_off() -> None:
    mine = guarded(Access(token=TOKEN, max_body=10), authorization=BEARER)
    assert "POST 10" == (await mine.send("POST", "/x", body=[b"12345", b"67890"])).text
    assert 413 == (await mine.send("POST", "/x", headers={"content-length": "11"}, body=[b"1" * 11])).status
    cut_off = await mine.send("POST", "/x", body=[b"12345", b"678901"])  # longer than it said
    assert (413, "close") == (cut_off.status, cut_off.headers["connection"])
    assert "a request may have 10 bytes" == cut_off.json["detail"]
    assert 400 == (await mine.send("POST", "/x", headers={"content-length": "ten"})).status


async def test_an_application_that_hears_of_a_request_cut_off_leaves_no_error() -> None:
    async def read(scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()

    answer = await Client(Guard(read, Access(token=TOKEN, max_body=10)), {}).send(
        "GET", "/healthz", body=[b"12345", b"678901"]
    )
    assert 413 == answer.status
    with pytest.raises(ClientDisconnect):  # of one that went by itself the application is to know
        await Client(Guard(read, Access(token=TOKEN)), {}).send("GET", "/healthz", body=[])


def test_each_client_has_a_pace_and_the_token_another() -> None:
    access = Access(token=TOKEN, rate=2, burst=3)

    async def hurry() -> None:
        mine = guarded(access)
        assert [200] * 3 + [429] == [(await mine.get("/healthz")).status for _ in range(4)]
        refused = await mine.get("/x")
        assert (429, "1") == (refused.status, refused.headers["retry-after"])
        assert ("application/problem+json", "more than 2 requests a second") == (
            refused.headers["content-type"],
            refused.json["detail"],
        )
        assert [200] * 3 + [429] == [(await mine.get("/x", authorization=BEARER)).status for _ in range(4)]
        mine.address = "10.0.0.7"
        assert 200 == (await mine.get("/healthz", authorization=BEARER)).status
        mine.address = "127.0.0.1"
        await asyncio.sleep(1.0)
        assert [200, 200, 429] == [(await mine.get("/x", cookie=MINE)).status for _ in range(3)]

    with VirtualClock() as clock:
        clock.run(hurry())


async def test_a_client_without_an_address_is_served() -> None:
    mine = guarded(Access(token=TOKEN))
    mine.address = None  # by a Unix socket
    assert 200 == (await mine.get("/healthz")).status


async def test_answers_tell_browsers_to_be_careful() -> None:
    for answer in (await client(authorization=BEARER).get("/x"), await client().get("/x")):
        assert "nosniff" == answer.headers["x-content-type-options"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "'unsafe" not in answer.headers["content-security-policy"]
        assert "no-store" == answer.headers["cache-control"]
    assert "SAMEORIGIN" == (await client(authorization=BEARER).get("/x")).headers["x-frame-options"]


def test_many_wrong_tokens_have_to_wait_and_the_right_one_never() -> None:
    async def attack() -> None:
        mine = client()
        wrong = [(await mine.get("/x", authorization=f"Bearer {number}")).status for number in range(21)]
        assert [401] * 20 + [429] == wrong
        refused = await mine.get("/login?token=no")
        assert (429, "60") == (refused.status, refused.headers["retry-after"])
        assert 401 == (await mine.get("/x")).status  # no token is no attempt
        assert 200 == (await mine.get("/x", authorization=BEARER)).status
        await asyncio.sleep(61.0)
        assert 401 == (await mine.get("/x", authorization="Bearer no")).status

    with VirtualClock() as clock:
        clock.run(attack())


async def test_other_protocols_do_not_pass() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    guard = client(authorization=BEARER).app
    await guard({"type": "websocket", "path": "/x", "headers": []}, receive, send)
    assert [{"type": "websocket.close", "code": 1008}] == sent


async def test_the_application_is_told_of_start_and_stop() -> None:
    said = iter(({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}))
    sent: list[Message] = []

    async def receive() -> Message:
        return next(said)

    async def send(message: Message) -> None:
        sent.append(message)

    await client().app({"type": "lifespan", "state": {}}, receive, send)
    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == [one["type"] for one in sent]


def test_a_server_answers_for_some_host() -> None:
    with pytest.raises(InvalidArgumentError, match="hosts"):
        Access(token=TOKEN, hosts=())
