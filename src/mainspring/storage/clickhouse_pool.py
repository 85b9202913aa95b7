"""The connections to ClickHouse (extra `clickhouse`): one client per event loop and set of options.

A client is closed when its last user closes, or else with its loop: `asyncio.run` ends the asynchronous generators
of a loop, and one of them closes the client.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any, Final  # Any: the driver's client, and options of any type
from weakref import WeakKeyDictionary

from mainspring.base import load_extra
from mainspring.errors import ClickHouseError, ClickHouseRefusedError, ClickHouseUnavailableError
from mainspring.storage._engine_process import EngineProcess
from mainspring.storage._thread_calls import in_thread

_CONNECTIONS: Final = 16
_TOO_BUSY: Final = frozenset({202, 252})  # refused before anything was done: too many queries, too many parts
_NETWORK: Final = frozenset({209, 210})

_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, "SharedClient"]] = WeakKeyDictionary()


class _Engines:
    """The embedded engines of this process, one per folder."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_path: dict[Path, tuple[EngineProcess, int]] = {}

    def lease(self, path: Path) -> EngineProcess:
        """Return the engine of a folder, to be given back."""
        with self._lock:
            engine, users = self._by_path.get(path) or (EngineProcess(path), 0)
            self._by_path[path] = (engine, users + 1)
            return engine

    def give_back(self, engine: EngineProcess) -> None:
        """End the engine if this was the last user. Blocks."""
        with self._lock:
            _, users = self._by_path[engine.path]
            if users > 1:
                self._by_path[engine.path] = (engine, users - 1)
                return
            del self._by_path[engine.path]
            engine.stop()

    def start(self, engine: EngineProcess) -> None:
        """Start it unless it runs. Blocks."""
        with self._lock:
            engine.start()


_engines: Final = _Engines()


class SharedClient:
    """The client of all users that have the same options, on one loop."""

    def __init__(self, key: str, options: Mapping[str, Any], path: Path | None) -> None:
        self.users = 0
        self.columns: dict[str, list[tuple[str, str]]] = {}
        """What tables look like: the insertable columns and their types."""
        self._key = key
        self._options = options
        self._path = path
        self._engine: EngineProcess | None = None
        self._client: Any = None
        self._opening = asyncio.Lock()
        self._life: AsyncGenerator[None] | None = None

    async def client(self) -> Any:
        """Return the driver's client, connected; an engine that died is started again."""
        async with self._opening:  # one opens, the others wait
            if self._path is not None:
                engine = self._engine = self._engine or _engines.lease(self._path)
                if not engine.alive:
                    await in_thread(lambda: _engines.start(engine))
            if self._client is None:
                self._client = await self._connect()
            if self._life is None:
                self._life = self._until_closed()
                await anext(self._life)
        return self._client

    async def give_back(self) -> None:
        """Close it if this was the last user."""
        self.users -= 1
        if not self.users:
            _of_loop[asyncio.get_running_loop()].pop(self._key, None)
            await self._close()

    async def _connect(self) -> Any:
        driver: Any = load_extra("clickhouse_connect", feature="ClickHouse", extra="clickhouse")
        load_extra("aiohttp", feature="ClickHouse", extra="clickhouse")
        options: dict[str, Any] = {
            "connector_limit": _CONNECTIONS,
            "connector_limit_per_host": _CONNECTIONS,
            "query_retries": 0,
        }
        if self._engine is not None:
            engine = self._engine
            options |= {"host": "127.0.0.1", "port": engine.port, "username": "default", "password": engine.password}
            options |= {"compress": False}
        return await driver.get_async_client(**{**options, **self._options})

    async def _until_closed(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            client, self._client, self._life = self._client, None, None
            engine, self._engine = self._engine, None
            try:
                if client is not None:
                    await client.close()
            finally:
                if engine is not None:
                    await in_thread(lambda: _engines.give_back(engine))

    async def _close(self) -> None:
        async with self._opening:
            if self._life is not None:
                await self._life.aclose()
            elif self._engine is not None:  # it never answered
                engine, self._engine = self._engine, None
                await in_thread(lambda: _engines.give_back(engine))


def shared_client(options: Mapping[str, Any], path: Path | None) -> SharedClient:
    """Return the client of the running loop for these options, counting one user more."""
    clients = _of_loop.setdefault(asyncio.get_running_loop(), {})
    key = repr((path, sorted(options.items(), key=lambda item: item[0])))
    shared = clients.get(key)
    if shared is None:
        shared = clients[key] = SharedClient(key, options, path)
    shared.users += 1
    return shared


def driver_failures() -> tuple[type[Exception], ...]:
    """Return what the driver raises."""
    driver: Any = load_extra("clickhouse_connect.driver.exceptions", feature="ClickHouse", extra="clickhouse")
    aiohttp: Any = load_extra("aiohttp", feature="ClickHouse", extra="clickhouse")
    return (driver.ClickHouseError, aiohttp.ClientError, OSError)


def mapped(error: Exception, *, store: str, sent: bool) -> ClickHouseError:
    """Return our error for one of the driver's.

    Args:
        sent: whether there was a connection over which the statement may have gone.
    """
    driver: Any = load_extra("clickhouse_connect.driver.exceptions", feature="ClickHouse", extra="clickhouse")
    code: int | None = getattr(error, "code", None)
    if code is not None or (isinstance(error, driver.Error) and not isinstance(error, driver.OperationalError)):
        name = str(getattr(error, "name", None) or "")
        return ClickHouseRefusedError(store=store, reason=_brief(error), code=code or 0, code_name=name)
    return ClickHouseUnavailableError(store=store, reason=_brief(error), sent=sent and not _unconnected(error))


def may_try_again(error: ClickHouseError, *, harmless: bool) -> bool:
    """Tell whether a statement may be sent again.

    Args:
        harmless: it may be carried out twice; otherwise only what was certainly not carried out is sent again.
    """
    if isinstance(error, ClickHouseUnavailableError):
        return harmless or not error.sent
    code = getattr(error, "code", 0)
    return code in _TOO_BUSY or (harmless and code in _NETWORK)


def _unconnected(error: BaseException | None) -> bool:
    aiohttp: Any = load_extra("aiohttp", feature="ClickHouse", extra="clickhouse")
    while error is not None:
        if isinstance(error, aiohttp.ClientConnectorError):
            return True
        error = error.__cause__
    return False


def _brief(error: Exception) -> str:
    """Return what the server said, without the driver's words around it."""
    text = str(error) or type(error).__name__
    return text.partition("server response: ")[2].partition(" (for url ")[0] or text
