"""A private ClickHouse server for tests that need a real one."""

import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any, Self  # Any: options of every type

from mainspring.base import new_id
from mainspring.storage import EngineProcess


class ClickHouseServer:
    """A ClickHouse engine of one's own behind ClickHouse's HTTP interface: `with ClickHouseServer() as server:`.

    The engine is that of the package `chdb` (extra `chdb`), in a process of its own. It can be killed, started again
    on the same port with what it had written, and paused. Blocks for about a second while it starts. One user,
    `default`, with a password.

    Args:
        path: where it keeps its data; a folder that is deleted at the end unless given.

    Raises:
        StoreOpenError: (from `start`) the folder cannot be used.
        MissingExtraError: (from `start`) the extra is not installed.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self._own = path is None
        self._engine = EngineProcess(Path(tempfile.gettempdir(), f"clickhouse-{new_id()}") if path is None else path)

    def __repr__(self) -> str:
        return f"<ClickHouseServer {self._engine!r}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._engine.send(signal.SIGCONT)
        self._engine.stop()
        if self._own:
            shutil.rmtree(self._engine.path, ignore_errors=True)

    @property
    def options(self) -> dict[str, Any]:
        """What to give to `Querier(**options)`, or to clickhouse-connect."""
        engine = self._engine
        return {"host": "127.0.0.1", "port": engine.port, "username": "default", "password": engine.password}

    @property
    def port(self) -> int:
        """Where it listens; the same after every start."""
        return self._engine.port

    def start(self) -> None:
        """Start it and wait until it answers; does nothing while it runs."""
        self._engine.start()

    def kill(self) -> None:
        """Kill it, as a crash would."""
        self._engine.send(signal.SIGKILL)
        self._engine.stop()

    def pause(self) -> None:
        """Stop it in the middle of whatever it does, with its connections open."""
        self._engine.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._engine.send(signal.SIGCONT)
