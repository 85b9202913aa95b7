"""ProcessService and RespawningProcessService: a function in a process of its own."""

import asyncio
import logging
import signal
import socket
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Final

from mainspring.base import Backoff, child_talk
from mainspring.concurrency import ChildProcess, start_child
from mainspring.errors import ChildStartError
from mainspring.runtime import Service
from mainspring.services._process_talk import INTERRUPTED, ProcessEar, be_process
from mainspring.services._simple_server import cancel_and_wait

log = logging.getLogger(__name__)

_LAST_WORDS_SECONDS: Final = 1.0
_NO_FAILURE: Final = (0, INTERRUPTED, -signal.SIGINT)  # a terminal's Ctrl-C reaches the process before the stop does


class ProcessService(Service):
    """Runs `in_process()` in a process of its own. Subclass it, at the top of a module, and write `in_process`.

    The service travels as its keyword arguments. It is ready when the process has begun; log records of the
    process come to the loggers of the program. At the stop the process gets SIGINT, and is killed after
    `process_stop_timeout` seconds; it ends as well when the program is killed.

    Attributes:
        name: of the process.
        process_stop_timeout: seconds between SIGINT and SIGKILL.
        start_method: "forkserver", "spawn" or "fork"; None for the first, or "spawn" where there is none.
        exit_code: of the last process, minus the number of the signal that ended it; None while it runs.

    Raises:
        ChildStartError: (from the start) the process could not be started, or ended at once.
        TaskNotPicklableError: (from the start) the service cannot travel.
    """

    name: str | None = None
    process_stop_timeout: float = 3.0
    start_method: str | None = None
    exit_code: int | None = None

    _process: ChildProcess | None = None
    _ear: ProcessEar | None = None
    _watching: "asyncio.Task[None] | None" = None

    def __repr__(self) -> str:
        state = f"pid={self.pid}" if self.pid is not None else f"exit_code={self.exit_code}"
        return f"<{type(self).__qualname__} {state}>"

    @abstractmethod
    def in_process(self) -> Any:
        """Be the process: called there, in its main thread; what it returns is not used."""

    def get_process_kwargs(self) -> dict[str, Any]:
        """Return keyword arguments for `in_process`, made in the program; they must pickle."""
        return {}

    @property
    def pid(self) -> int | None:
        """The id of the process; None when none runs."""
        return self._process.pid if self._process is not None and self._process.is_running else None

    def healthy(self) -> bool:
        """Say whether the process runs, or has ended well."""
        return self.pid is not None or self.exit_code == 0

    async def start(self) -> None:
        """Start the process, and return when it has begun."""
        process, ear = await self._launch()
        self._watching = self.loop.create_task(self._watch(process, ear), name=f"watch {self!r}")

    async def stop(self, exception: Any = None) -> None:
        """End the process."""
        if self._watching is not None:
            await cancel_and_wait({self._watching})
        process = self._process
        if process is None or self._ear is None:
            return
        if not self._ear.started.done():
            process.kill()  # it has not begun, so it has nothing to finish
        elif process.is_running:
            await process.stop(grace=self.process_stop_timeout, signal_number=signal.SIGINT)
            if process.exit_code == -signal.SIGKILL:
                log.warning("%r did not end within %.3g s of SIGINT and was killed", self, self.process_stop_timeout)
        await self._finish(process, self._ear)

    async def _launch(self) -> "tuple[ChildProcess, ProcessEar]":
        """Start a process and wait for its first word."""
        name = self.name or type(self).__qualname__
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                arguments = (self, self.get_process_kwargs(), theirs, child_talk.speaker())
                process = await start_child(be_process, arguments, name=name, start_method=self.start_method)
        except BaseException:
            ours.close()
            raise
        ear = ProcessEar(ours)
        self._process, self._ear, self.exit_code = process, ear, None
        try:
            await self.loop.create_unix_connection(lambda: ear, sock=ours)
            await asyncio.wait({ear.started, ear.ended}, return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            ear.hang_up()
            process.kill()
            raise
        if not ear.started.done():
            await self._finish(process, ear)
            raise ChildStartError(child=name, reason=f"it ended with {_how(process)} before it had begun")
        return process, ear

    async def _watch(self, process: ChildProcess, ear: ProcessEar) -> None:
        """Tell how the process ended."""
        await self._finish(process, ear)
        level = logging.INFO if process.exit_code in _NO_FAILURE else logging.ERROR
        log.log(level, "%r ended with %s", self, _how(process))

    async def _finish(self, process: ChildProcess, ear: ProcessEar) -> None:
        """Wait for the end and the last words; processes that it started may hold the line, and are not waited for."""
        await process.wait()
        await asyncio.wait({ear.ended}, timeout=_LAST_WORDS_SECONDS)
        ear.hang_up()
        self.exit_code = process.exit_code


class RespawningProcessService(ProcessService):
    """A ProcessService whose process is started again whenever it ends; see `ProcessService`.

    The pauses before the restarts are those of `backoff`; they begin anew after a process that ran longer than
    `process_poll_timeout` seconds. When they end, so does the service.

    Attributes:
        restart_count: how often it was started again.
    """

    backoff: Backoff = Backoff(0.1, maximum=5.0)
    process_poll_timeout: float = 5.0
    restart_count: int = 0

    def healthy(self) -> bool:
        """Say whether the process runs."""
        return self.pid is not None

    async def _watch(self, process: ChildProcess, ear: ProcessEar) -> None:
        pauses = self.backoff.delays()
        launched: tuple[ChildProcess, ProcessEar] | None = process, ear
        while launched is not None:
            began = self.loop.time()
            await self._finish(*launched)
            if self.loop.time() - began > self.process_poll_timeout:
                pauses = self.backoff.delays()
            launched = await self._relaunch(launched[0], pauses)

    async def _relaunch(
        self, process: ChildProcess, pauses: Iterator[float]
    ) -> "tuple[ChildProcess, ProcessEar] | None":
        for pause in pauses:
            log.warning("%r ended with %s, it is started again in %.3g s", self, _how(process), pause)
            await asyncio.sleep(pause)
            self.restart_count += 1
            try:
                return await self._launch()
            except (ChildStartError, OSError) as error:
                log.error("%r: %s", self, error)
        log.error("%r ended with %s and is not started again", self, _how(process))
        return None


def _how(process: ChildProcess) -> str:
    return process.signal_name or f"exit code {process.exit_code}"
