"""WebService in a program: a real server, reached with its token and by its link, and by nobody else."""

from pathlib import Path

import pytest

pytest.importorskip("fastapi")

import aiohttp
from tests.unit.web.support_web import make_shop

from mainspring.errors import InvalidArgumentError, MissingExtraError, UnsafeFileError
from mainspring.runtime import entrypoint
from mainspring.web import WebService

pytestmark = pytest.mark.extras


async def test_a_program_is_seen_with_the_token_only(state: Path) -> None:
    app = make_shop()
    web = WebService(app=app, port=0)
    assert not web.link
    jar = aiohttp.CookieJar(unsafe=True)  # it keeps none of an address without a name else
    async with entrypoint(app, web, log_config=False), aiohttp.ClientSession(web.address, cookie_jar=jar) as session:
        token = (state / "web-token").read_text()
        async with session.get("/readyz") as answer:
            assert (200, "ok") == (answer.status, (await answer.json())["checks"]["services"])
        async with session.get("/api/v1/jobs") as answer:
            assert (401, "application/problem+json") == (answer.status, answer.content_type)
        async with session.get("/metrics", headers={"Authorization": f"Bearer {token}"}) as answer:
            assert "mainspring_store_up 1.0" in await answer.text()
        async with session.get("/api/v1/services", headers={"Authorization": f"Bearer {token}"}) as answer:
            names = [one["name"] for one in (await answer.json())["services"]]
        assert {"JobApp", "WebService"} == set(names)
        async with session.get("/healthz", headers={"Host": "evil.example"}) as answer:
            assert 421 == answer.status
        async with session.get(str(web.link)) as answer:  # follows to the index with the cookie
            assert (200, "shop") == (answer.status, (await answer.json())["app"])
        async with session.get("/api/v1/jobs") as answer:
            assert 200 == answer.status
            assert "server" not in answer.headers
    assert not web.healthy()


async def test_further_hosts_may_be_named(state: Path) -> None:
    web = WebService(app=make_shop(), port=0, hosts=("Jobs.Example",))
    async with entrypoint(web, log_config=False), aiohttp.ClientSession(web.address) as session:
        async with session.get("/healthz", headers={"Host": "jobs.example:443"}) as answer:
            assert 200 == answer.status
        async with session.get("/readyz") as answer:  # nobody opened the app
            assert 503 == answer.status


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "jobs.example"])
def test_other_addresses_need_tls_or_a_proxy(host: str) -> None:
    with pytest.raises(InvalidArgumentError, match="of this machine only"):
        WebService(app=make_shop(), host=host)
    assert (
        f"http://{f'[{host}]' if ':' in host else host}:8787"
        == WebService(app=make_shop(), host=host, behind_proxy=True).address
    )
    assert WebService(app=make_shop(), host=host, ssl_certfile="x.pem").address.startswith("https://")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2", "::1"])
def test_addresses_of_this_machine_need_nothing(host: str) -> None:
    WebService(app=make_shop(), host=host)


@pytest.mark.usefixtures("state")
async def test_who_asks_too_fast_or_sends_too_much_is_refused() -> None:
    web = WebService(app=make_shop(), port=0, rate=0.001, burst=5, max_body=10)
    async with entrypoint(web, log_config=False), aiohttp.ClientSession(web.address) as session:
        found: list[tuple[int, str | None]] = []
        for _ in range(6):
            # whoever is no proxy is not believed to speak for others
            async with session.get("/healthz", headers={"X-Forwarded-For": f"10.0.0.{len(found)}"}) as answer:
                found.append((answer.status, answer.headers.get("Retry-After")))
        assert ([(200, None)] * 5, 429) == (found[:5], found[5][0])
        assert 0 < int(found[5][1] or 0) <= 1000
        headers = {"Authorization": f"Bearer {str(web.link).partition('=')[2]}"}
        async with session.post("/api/v1/jobs", data=b"1" * 11, headers=headers) as answer:
            assert (413, "a request may have 10 bytes") == (answer.status, (await answer.json())["detail"])


@pytest.mark.usefixtures("state")
async def test_a_proxy_speaks_for_its_clients() -> None:
    web = WebService(app=make_shop(), port=0, rate=0.001, burst=1, behind_proxy=True)
    async with entrypoint(web, log_config=False), aiohttp.ClientSession(web.address) as session:
        for number in range(3):
            async with session.get("/healthz", headers={"X-Forwarded-For": f"10.0.0.{number}"}) as answer:
                assert 200 == answer.status
        async with session.get("/healthz", headers={"X-Forwarded-For": "10.0.0.1"}) as answer:
            assert 429 == answer.status


@pytest.mark.parametrize("limit", ["rate", "burst", "max_body"])
def test_limits_that_let_nobody_in_are_refused(limit: str) -> None:
    for value in (0, -1):
        with pytest.raises(InvalidArgumentError, match=rf"{limit}={value} .* > ?=?"):
            WebService(app=make_shop(), **{limit: value})


@pytest.fixture
def open_file(state: Path) -> None:
    state.mkdir()
    (state / "web-token").write_text("0123456789abcdef")
    (state / "web-token").chmod(0o644)


@pytest.mark.usefixtures("open_file")
async def test_a_token_that_others_may_read_stops_the_start() -> None:
    with pytest.raises(UnsafeFileError):
        async with entrypoint(WebService(app=make_shop(), port=0), log_config=False):
            pass


async def test_without_its_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "prometheus_client", None)
    with pytest.raises(MissingExtraError, match="mainspring\\[web\\]"):
        async with entrypoint(WebService(app=make_shop(), port=0), log_config=False):
            pass
