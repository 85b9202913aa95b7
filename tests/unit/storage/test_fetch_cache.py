"""Fetching through the disk: when the server is asked, what is kept, and what happens when it fails."""

import asyncio
import logging
import math
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("aiohttp")

import aiohttp
from tests.unit.storage.support_web_server import FaultyServer, MovedClock, running_server

from mainspring.base import use_clock
from mainspring.errors import FetchError, InvalidArgumentError
from mainspring.storage import FetchCache
from mainspring.storage._fetch_file import Answer
from mainspring.storage._fetch_folder import folder_of
from mainspring.testing import eventually

pytestmark = pytest.mark.extras


class Place(NamedTuple):
    """Where a test fetches from and to."""

    server: FaultyServer
    session: aiohttp.ClientSession
    folder: Path

    def cache(self, name: str = "page", **options: Any) -> FetchCache:
        options = {"refresh_minutes": 10, "cache_dir": self.folder, **options}
        return FetchCache(self.session, f"{self.server.address}/{name}", name, **options)

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with running_server() as server, aiohttp.ClientSession() as session:
        yield Place(server, session, tmp_path / "cache")


@pytest.fixture
def clock() -> Iterator[MovedClock]:
    moved = MovedClock()
    with use_clock(moved):
        yield moved


async def test_an_answer_is_fetched_once(place: Place) -> None:
    cache = place.cache()
    assert str(cache.filepath) == "None"
    assert "first" == await cache.get()
    place.server.body = b"second"
    assert "first" == await cache.get() == await place.cache().get()
    assert b"first" == await cache.get_bytes()
    assert 1 == place.server.count
    assert cache.filepath is not None
    assert cache.filepath.read_bytes().endswith(b"\nfirst")
    assert str(cache.filepath) in repr(cache)


async def test_an_answer_that_is_too_old_is_fetched_again(place: Place, clock: MovedClock) -> None:
    cache = place.cache()
    await cache.get()
    place.server.body = b"second"
    clock.ahead = 599
    assert "first" == await cache.get()
    clock.ahead = 601
    assert "second" == await cache.get()
    clock.ahead = 0  # a clock that was set back
    place.server.body = b"third"
    assert "third" == await cache.get()


async def test_without_minutes_an_answer_is_good_until_the_end_of_the_day(place: Place, clock: MovedClock) -> None:
    cache = place.cache(refresh_minutes=None)
    await cache.get()
    await cache.get()
    assert 1 == place.server.count
    clock.ahead = 86_400
    await cache.get()
    assert 2 == place.server.count


async def test_a_stampede_makes_one_request(place: Place) -> None:
    place.server.gate = asyncio.Event()
    caches = [place.cache() for _ in range(50)]
    tasks = [asyncio.ensure_future(cache.get()) for cache in caches for _ in range(2)]
    await eventually(lambda: place.server.count)
    place.server.gate.set()
    assert {"first"} == set(await asyncio.gather(*tasks))
    assert 1 == place.server.count


async def test_a_cancelled_caller_does_not_take_the_answer_from_the_others(place: Place) -> None:
    place.server.gate = asyncio.Event()
    cache = place.cache()
    leaver, stayer = (asyncio.ensure_future(cache.get()) for _ in range(2))
    await eventually(lambda: place.server.count)
    leaver.cancel()
    place.server.gate.set()
    assert "first" == await stayer
    assert 1 == place.server.count


async def test_a_fetch_that_nobody_waits_for_is_cancelled(place: Place) -> None:
    place.server.gate = asyncio.Event()
    task = asyncio.ensure_future(place.cache().get())
    await eventually(lambda: place.server.count)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    place.server.gate.set()
    assert "first" == await place.cache().get()
    assert 2 == place.server.count


async def test_a_caller_that_leaves_before_the_fetch_has_begun_harms_nobody(place: Place) -> None:
    folder = folder_of(place.folder)
    await folder.know()
    fetched: list[str] = []
    answer = (Answer("url", 0.0, 4), b"body")

    async def fetch() -> tuple[Answer, bytes]:
        fetched.append("fetched")
        return answer

    leaver = asyncio.ensure_future(folder.once("name", fetch))
    await asyncio.sleep(0)
    leaver.cancel()
    joiner = asyncio.ensure_future(folder.once("name", fetch))
    assert answer == await joiner
    with pytest.raises(asyncio.CancelledError):
        await leaver
    assert (answer, answer) == tuple(await asyncio.gather(folder.once("name", fetch), folder.once("name", fetch)))
    assert 2 <= len(fetched) <= 3


async def test_nobody_joins_a_fetch_that_is_being_cancelled(place: Place) -> None:
    place.server.gate = asyncio.Event()
    leaver = asyncio.ensure_future(place.cache().get())
    await eventually(lambda: place.server.count)
    leaver.cancel()
    await asyncio.sleep(0)  # the caller is gone, its fetch is not yet
    stayer = asyncio.ensure_future(place.cache().get())
    place.server.gate.set()
    assert "first" == await stayer
    with pytest.raises(asyncio.CancelledError):
        await leaver


@pytest.mark.parametrize("facts", [{"etag": '"v1"'}, {"last_modified": "Tue, 01 Jan 2013 10:00:00 GMT"}])
async def test_an_unchanged_answer_is_not_sent_again(place: Place, clock: MovedClock, facts: dict[str, str]) -> None:
    for name, value in facts.items():
        setattr(place.server, name, value)
    cache = place.cache()
    await cache.get()
    place.server.body = b"unchanged says the server"
    clock.ahead = 700
    assert "first" == await cache.get()
    clock.ahead = 1200  # good again since the server said so
    assert "first" == await cache.get()
    assert 2 == place.server.count
    clock.ahead = 2000
    place.server.etag = '"v2"'
    assert "unchanged says the server" == await cache.get()


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_an_old_answer_stands_in_for_a_failing_server(
    place: Place, clock: MovedClock, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    cache = place.cache(stale_if_error=1000)
    await cache.get()
    place.server.status = status
    clock.ahead = 700
    with caplog.at_level(logging.WARNING):
        assert "first" == await cache.get()
    assert f"answered {status}" in caplog.text
    clock.ahead = 1700
    with pytest.raises(FetchError, match=str(status)) as told:
        await cache.get()
    assert (status, cache.url) == (told.value.status, told.value.url)
    place.server.status = 200
    assert "first" == await cache.get()


async def test_an_answer_that_is_gone_is_an_error(place: Place, clock: MovedClock) -> None:
    cache = place.cache()
    await cache.get()
    place.server.status = 404
    clock.ahead = 700
    with pytest.raises(FetchError, match="404"):
        await cache.get()


async def test_an_error_is_not_kept(place: Place) -> None:
    place.server.status = 500
    with pytest.raises(FetchError):
        await place.cache().get()
    assert [] == place.files()
    place.server.status = 200
    assert "first" == await place.cache().get()


async def test_an_answer_that_breaks_off_is_an_error_and_leaves_nothing(place: Place, clock: MovedClock) -> None:
    place.server.truncated = True
    with pytest.raises(FetchError):
        await place.cache().get()
    assert [] == place.files()
    place.server.truncated = False
    await place.cache().get()
    place.server.truncated = True
    clock.ahead = 700
    assert "first" == await place.cache().get()


async def test_a_server_that_does_not_answer_in_time_is_an_error(place: Place) -> None:
    place.server.gate = asyncio.Event()
    with pytest.raises(FetchError, match=r"did not end within 0.05 s"):
        await place.cache(timeout=0.05).get()


async def test_a_server_that_is_not_there_is_an_error(place: Place) -> None:
    cache = FetchCache(place.session, "http://127.0.0.1:1/", "page", cache_dir=place.folder)
    with pytest.raises(FetchError, match=r"127\.0\.0\.1"):
        await cache.get()


async def test_an_address_of_another_kind_is_told_in_words(place: Place) -> None:
    for address in ("ftp://x/", "nowhere"):
        with pytest.raises(FetchError, match="Url"):
            await FetchCache(place.session, address, "page", cache_dir=place.folder).get()


async def test_an_answer_beyond_its_bound_is_refused(place: Place) -> None:
    place.server.body = b"x" * 1001
    with pytest.raises(FetchError, match="longer than 1000"):
        await place.cache(max_body_bytes=1000).get()


async def test_requests_that_differ_never_share_an_answer(place: Place) -> None:
    requests: list[dict[str, Any]] = [
        {},
        {"params": {"a": 1}},
        {"params": [("a", "2")]},
        {"headers": {"Accept": "text/csv"}},
    ]
    for options in requests:
        await place.cache(**options).get()
    assert 4 == place.server.count == len(place.files())
    assert ["", "a=1", "a=2", ""] == [request.query_string for request in place.server.requests]
    assert "text/csv" == place.server.requests[-1].headers["Accept"]


async def test_text_is_read_as_the_server_says(place: Place) -> None:
    place.server.body, place.server.charset = "café".encode("latin-1"), "latin-1"
    assert "café" == await place.cache("latin").get() == await place.cache("latin").get()
    place.server.body, place.server.charset = b"caf\xc3\xa9", "no-such-charset"
    assert "café" == await place.cache("unknown").get()
    place.server.body, place.server.charset = b"\xff\xfe\x00", None
    assert b"\xff\xfe\x00" == await place.cache("bytes").get_bytes()


async def test_the_least_used_answers_make_room(place: Place) -> None:
    place.server.body = b"x" * 1000
    for name in ("wanted", "wanted", "wanted", "a", "b", "c"):
        await place.cache(name, max_bytes=4000).get()
    kept = [name.split("-")[0] for name in place.files()]
    assert ["b", "c", "wanted"] == kept
    await place.cache("d", max_bytes=2500).get()
    assert 2 >= len(place.files())


async def test_files_of_others_are_never_removed(place: Place) -> None:
    place.folder.mkdir()
    (place.folder / "precious.txt").write_bytes(b"x" * 5000)
    file = place.folder / "chosen"
    place.server.body = b"x" * 1000
    await place.cache("page", filepath=file, max_bytes=10).get()
    await place.cache("page", filepath=file, max_bytes=10).get()
    await place.cache("other", max_bytes=10).get()
    assert ["chosen", "precious.txt"] == place.files()
    assert 2 == place.server.count


async def test_a_damaged_file_is_fetched_again(place: Place) -> None:
    cache = place.cache()
    await cache.get()
    assert cache.filepath is not None
    for damage in (b"", b"{", cache.filepath.read_bytes()[:-1]):
        cache.filepath.write_bytes(damage)
        assert "first" == await cache.get()
    assert 4 == place.server.count


async def test_an_answer_of_another_program_is_used(place: Place) -> None:
    await place.cache("seen").get()
    stored = next(place.folder.iterdir())
    other = place.cache("seen", params={"a": 1})
    stored.rename(other._file)
    assert "first" == await other.get()
    assert 1 == place.server.count


async def test_any_session_of_that_shape_will_do(tmp_path: Path) -> None:
    class Response:
        status = "fine"

        async def text(self) -> str:
            return "text of another client"

    class Session:
        async def get(self, url: str, *, headers: object, params: object) -> Response:
            return Response()

    cache = FetchCache(Session(), "somewhere", "page", cache_dir=tmp_path)
    assert "text of another client" == await cache.get() == await cache.get()


async def test_a_directory_that_cannot_be_made_is_told_each_time(place: Place) -> None:
    place.folder.touch()
    for _ in range(2):
        with pytest.raises(NotADirectoryError):
            await place.cache().get()
    place.folder.unlink()
    assert "first" == await place.cache().get()


async def test_a_directory_that_was_removed_is_made_again(place: Place) -> None:
    """Every later fetch failed until the program was started again."""
    assert "first" == await place.cache().get()
    shutil.rmtree(place.folder)
    place.server.body = b"second"
    assert "second" == await place.cache().get() == await place.cache().get()
    assert 1 == len(place.files())


async def test_a_name_of_any_length_may_stand_beside_a_file_that_is_given(place: Place) -> None:
    file = place.folder / "page"
    assert "first" == await place.cache("x" * 200, filepath=file).get()
    assert file.exists()


async def test_an_answer_that_cannot_be_kept_is_returned(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    cache = place.cache(filepath=place.folder / ("x" * 250))  # the file beside it has too long a name
    assert "first" == await cache.get()
    place.server.body = b"second"
    assert "second" == await cache.get()
    assert [] == place.files()
    assert "could not be kept" in caplog.text


@pytest.mark.parametrize(
    "options",
    [
        {"filename": "a/b"},
        {"filename": ".."},
        {"filename": ""},
        {"filename": "a\0"},
        {"filename": "é" * 76},
        *({"refresh_minutes": bad} for bad in (0, math.nan, "5", True)),
        *({"stale_if_error": bad} for bad in (-1, math.nan, "5")),
        *({"timeout": bad} for bad in (0, math.inf, math.nan, "1")),
        *({name: bad} for name in ("max_bytes", "max_body_bytes") for bad in (0, "1", 1.5)),
        *({"url": bad} for bad in ("", None, 5)),
        *({"headers": bad} for bad in ("abc", 5)),
        *({"params": bad} for bad in ("a=b", 5)),
        {"session": None},
    ],
)
def test_values_outside_their_range_are_refused(options: dict[str, Any]) -> None:
    session: Any = aiohttp.ClientSession  # which is not made, but has `get`
    given: dict[str, Any] = {"session": session, "url": "http://x", "filename": "page", **options}
    with pytest.raises(InvalidArgumentError, match=f"^{next(iter(options))}="):
        FetchCache(**given)


async def test_endless_times_are_times(place: Place, clock: MovedClock) -> None:
    cache = place.cache(refresh_minutes=math.inf, stale_if_error=0)
    assert "first" == await cache.get()
    clock.ahead += 10**8
    place.server.body = b"second"
    assert "first" == await cache.get()


async def test_a_name_may_be_as_long_as_is_said(place: Place) -> None:
    cache = FetchCache(place.session, f"{place.server.address}/page", "é" * 75, cache_dir=place.folder)
    assert "first" == await cache.get()
    assert 1 == len(place.files())
