"""A web page or file through the disk: fetched when it is not there or too old."""

import logging
import os
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast  # Any: the session of any HTTP client of this shape
from zoneinfo import ZoneInfo

from mainspring.base import current_clock, encode_json
from mainspring.errors import FetchError, InvalidArgumentError, MainspringError
from mainspring.resilience import check_count, check_seconds
from mainspring.resilience import timeout as time_limit
from mainspring.storage._fetch_file import SUFFIX, Answer, read_answer
from mainspring.storage._fetch_folder import Fetched, Folder, folder_of
from mainspring.storage._sqlite_files import is_name
from mainspring.storage._thread_calls import in_thread

log = logging.getLogger(__name__)

MIB = 2**20
DAY_ZONE = "America/New_York"  # where the markets whose days the default follows are
TRANSIENT = frozenset({408, 425, 429, *range(500, 600)})
CHUNK = 256 * 1024
LONGEST_NAME = 150  # bytes; with what is added to it, a file's name may have 255


class FetchCache:
    """One GET request whose answer is kept on disk and fetched again when it is too old.

    Concurrent callers share one fetch. An answer that is too old is asked for with its ETag and date, and kept
    when the server says that nothing changed. When the server fails, or cannot be reached, the old answer is
    returned for `stale_if_error` seconds more. The file, `filepath` after a `get`, is one line of JSON and then
    the body; URL, params and headers are part of its name.

    Args:
        session: an `aiohttp.ClientSession`, or anything with `await get(url, headers=, params=)`.
        url: what to fetch.
        filename: the beginning of the file's name.
        refresh_minutes: how long an answer is good; None until the end of the day in New York.
        headers: of the request.
        params: the query of the request.
        filepath: the file, instead of one in `cache_dir`.
        cache_dir: the directory of the file; missing ones are made with mode 0700.
        stale_if_error: seconds for which an old answer is better than an error.
        timeout: seconds that a fetch may take.
        max_bytes: size of all answers in the directory; the least used ones are removed.
        max_body_bytes: size of one answer at most.

    Raises:
        InvalidArgumentError: a value is outside its range.
    """

    def __init__(
        self,
        session: Any,
        url: str,
        filename: str,
        refresh_minutes: float | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
        filepath: str | Path | None = None,
        cache_dir: str | Path = Path(".cache"),
        *,
        stale_if_error: float = 86_400.0,
        timeout: float = 60.0,
        max_bytes: int = 256 * MIB,
        max_body_bytes: int = 64 * MIB,
    ) -> None:
        if not is_name(filename) or (filepath is None and len(os.fsencode(filename)) > LONGEST_NAME):
            expected = f"a name without slashes, of at most {LONGEST_NAME} bytes"
            raise InvalidArgumentError(argument="filename", value=filename, expected=expected)
        if refresh_minutes is not None:
            _check_number("refresh_minutes", refresh_minutes)
        _check_number("stale_if_error", stale_if_error, zero=True)
        check_seconds("timeout", timeout)
        check_count("max_bytes", max_bytes)
        check_count("max_body_bytes", max_body_bytes)
        _check_request(session, url, headers, params)
        self.session = session
        self.url = url
        self.filename = filename
        self.refresh_minutes = refresh_minutes
        self.headers = dict(headers or {})
        self.params = _pairs(params)
        self.cache_dir = Path(cache_dir)
        self._stale_if_error = stale_if_error
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._max_body_bytes = max_body_bytes
        self._file = self.cache_dir / self._name() if filepath is None else Path(filepath)
        self.filepath: Path | None = None

    async def get(self) -> str:
        """Return the answer as text, from the disk when it is good, else from the server.

        Raises:
            FetchError: the server answered with an error or not at all, and there is no old answer to return.
        """
        answer, body = await self._get()
        try:
            return body.decode(answer.charset, errors="replace")
        except LookupError:  # a charset that Python does not know
            return body.decode(errors="replace")

    async def get_bytes(self) -> bytes:
        """Return the answer's body as it came; otherwise as `get`.

        Raises:
            FetchError: the server answered with an error or not at all, and there is no old answer to return.
        """
        return (await self._get())[1]

    def __repr__(self) -> str:
        return f"<FetchCache {self.url} {self._file}>"

    async def _get(self) -> Fetched:
        folder = folder_of(self._file.parent)
        await folder.know()
        kept = await in_thread(partial(read_answer, self._file))
        if kept is None or not self._is_good(kept[0]):
            kept = await folder.once(self._file.name, partial(self._refresh, folder))
        else:
            folder.touch(self._file.name, len(kept[1]))
        self.filepath = self._file
        return kept

    async def _refresh(self, folder: Folder) -> Fetched:
        """Fetch, unless somebody else just did; fall back on the old answer."""
        kept = await in_thread(partial(read_answer, self._file))
        if kept is not None and self._is_good(kept[0]):
            return kept
        try:
            fetched = await time_limit(self._timeout)(self._fetch)(kept)
        except FetchError as error:
            return self._old_one(kept, error, cause=error.status is None or error.status in TRANSIENT)
        except _failures() as error:
            # the text of the client's own errors is often no more than the address
            said = str(error) if isinstance(error, MainspringError) else f"{type(error).__name__}: {error}"
            failure = FetchError(url=self.url, reason=said)
            failure.__cause__ = error
            return self._old_one(kept, failure, cause=True)
        try:
            await folder.store(self._file.name, *fetched, max_bytes=self._max_bytes)
        except OSError as error:
            log.warning("an answer could not be kept, and will be fetched again: %s", error)
        return fetched

    def _old_one(self, kept: Fetched | None, error: FetchError, *, cause: bool) -> Fetched:
        """Return the old answer if it may stand in for a failure, else raise the failure."""
        if kept is None or not cause or self._age(kept[0]) > self._good_for() + self._stale_if_error:
            raise error
        log.warning("an old answer stands in: %s", error)
        return kept

    async def _fetch(self, kept: Fetched | None) -> Fetched:
        headers = {**self.headers, **(_conditions(kept[0]) if kept else {})}
        response = await self.session.get(self.url, headers=headers or None, params=self.params or None)
        try:
            status = getattr(response, "status", None)
            if kept is not None and status == HTTPStatus.NOT_MODIFIED:
                old = kept[0]
                return Answer(old.url, _now(), old.length, old.charset, old.etag, old.last_modified), kept[1]
            # a session of another kind may have no status, or one that is no number: then its text is the answer
            if isinstance(status, int) and status != HTTPStatus.OK:
                raise FetchError(url=self.url, status=status, reason=f"it answered {status}")
            body, charset = await self._read(response)
        finally:
            release: Any = getattr(response, "release", None)  # Any: as the session
            if release is not None:
                release()
        found: Mapping[str, str] = getattr(response, "headers", None) or {}
        etag, changed = str(found.get("ETag", "")), str(found.get("Last-Modified", ""))
        return Answer(self.url, _now(), len(body), charset, etag, changed), body

    async def _read(self, response: Any) -> tuple[bytes, str]:
        """Return the body, within its bound, and its charset."""
        content: Any = getattr(response, "content", None)  # Any: as the session
        if not hasattr(content, "iter_chunked"):
            return (await response.text()).encode(), "utf-8"
        body = bytearray()
        async for chunk in content.iter_chunked(CHUNK):
            body += chunk
            if len(body) > self._max_body_bytes:
                raise FetchError(url=self.url, reason=f"its answer is longer than {self._max_body_bytes} bytes")
        return bytes(body), str(response.charset or "utf-8")

    def _is_good(self, answer: Answer) -> bool:
        if self.refresh_minutes is None:
            return _day(answer.fetched_at) == _day(_now())
        return 0 <= self._age(answer) < self._good_for()

    def _good_for(self) -> float:
        return 86_400.0 if self.refresh_minutes is None else self.refresh_minutes * 60

    def _age(self, answer: Answer) -> float:
        return _now() - answer.fetched_at

    def _name(self) -> str:
        """Return the name of the file: requests that may be answered differently never share one."""
        facts = [self.url, [[str(k), str(v)] for k, v in self.params], sorted(self.headers.items())]
        return f"{self.filename}-{blake2b(encode_json(facts), digest_size=8).hexdigest()}{SUFFIX}"


def _check_number(argument: str, value: object, *, zero: bool = False) -> None:
    """See that a duration is above zero, or zero where that may be; it may be endless."""
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else -1
    if not (number > 0 or (zero and number == 0)):
        raise InvalidArgumentError(argument=argument, value=value, expected=f"a number {'>=' if zero else '>'} 0")


def _check_request(session: object, url: object, headers: object, params: object) -> None:
    if not callable(getattr(session, "get", None)):
        raise InvalidArgumentError(argument="session", value=session, expected="a session, with `get`")
    if not isinstance(url, str) or not url:
        raise InvalidArgumentError(argument="url", value=url, expected="the address as a text")
    if not isinstance(headers, Mapping | None):
        raise InvalidArgumentError(argument="headers", value=headers, expected="a mapping, or None")
    if isinstance(params, str | bytes) or not isinstance(params, Iterable | None):
        raise InvalidArgumentError(argument="params", value=params, expected="a mapping, pairs, or None")


def _pairs(params: Mapping[str, Any] | Iterable[tuple[str, Any]] | None) -> list[tuple[str, Any]]:
    if isinstance(params, Mapping):
        return list(cast("Mapping[str, Any]", params).items())  # cast: isinstance forgets the parameters
    return list(params or ())


def _now() -> float:
    return current_clock().time()


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone(ZoneInfo(DAY_ZONE)).date().isoformat()


def _conditions(answer: Answer) -> dict[str, str]:
    given = {"If-None-Match": answer.etag, "If-Modified-Since": answer.last_modified}
    return {name: value for name, value in given.items() if value}


def _failures() -> tuple[type[Exception], ...]:
    """Return what a fetch fails with when the server cannot be reached, or breaks off."""
    aiohttp: Any = sys.modules.get("aiohttp")  # Any: a module
    return (OSError,) if aiohttp is None else (OSError, aiohttp.ClientError)
