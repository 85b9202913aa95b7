"""Python programs that a test starts, watches and kills."""

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self

from mainspring.concurrency import start_program
from mainspring.errors import ClosedError, NeverHappenedError

_KEPT_LINES: Final = 1000
_LONGEST_LINE: Final = 1 << 24
_KILL_SECONDS: Final = 10.0


class PythonChild:
    """A Python program in a process of its own, for tests that crash it.

    Used as `async with`: starts it at the beginning; at the end kills it, and every process that it started
    and that stayed in its group, and waits for its exit. Its standard output and error are read together; the
    last 1000 lines are kept. It imports from where this process does.

    Args:
        arguments: of the interpreter, as `"-c", code` or `"-m", "mainspring", "demo"`.
        environment: variables beside those of this process.
        directory: where it runs; here when None.

    Example:
        >>> async def main():
        ...     async with PythonChild("-c", "print('ready'); input()") as child:
        ...         print(await child.line("ready"))
        ...         return await child.kill()
        >>> asyncio.run(main())
        ready
        -9
    """

    def __init__(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        directory: str | Path | None = None,
    ) -> None:
        self._arguments = arguments
        self._environment = dict(environment or {})
        self._directory = directory
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._unread: deque[str] = deque(maxlen=_KEPT_LINES)
        self._news = asyncio.Event()
        self._ended = False

    def __repr__(self) -> str:
        return f"<PythonChild {' '.join(self._arguments)!r} returncode={self.returncode}>"

    async def __aenter__(self) -> Self:
        paths = os.pathsep.join(path for path in sys.path if path)
        self._process = await start_program(
            sys.executable,
            "-u",
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self._directory,
            env={**os.environ, "PYTHONPATH": paths, **self._environment},
            start_new_session=True,
            limit=_LONGEST_LINE,
        )
        self._reading = asyncio.create_task(self._read(), name=f"output of {self._process.pid}")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        process = self._started()
        if process.stdin is not None:
            process.stdin.close()
        await asyncio.wait_for(process.wait(), _KILL_SECONDS)  # noqa: TID251  # what measures others stands alone
        if self._reading is not None:
            await self._reading

    @property
    def pid(self) -> int:
        """The process number."""
        return self._started().pid

    @property
    def returncode(self) -> int | None:
        """The exit status; below zero the number of the signal that ended it; None while it runs."""
        return None if self._process is None else self._process.returncode

    @property
    def lines(self) -> list[str]:
        """The last lines of output, without line ends."""
        return list(self._lines)

    async def line(self, containing: str, *, within: float = 30.0) -> str:
        """Wait for the next line of output with `containing` in it; return the line.

        Every line is looked at by one call only: two waits for the same text need two lines.

        Raises:
            NeverHappenedError: no such line came in `within` seconds, or before the output ended.
        """
        return await self._wait_for(lambda: self._take(containing), what=f"a line with {containing!r}", within=within)

    async def wait(self, *, within: float = 30.0) -> int:
        """Wait until it ends by itself; return its exit status.

        Raises:
            NeverHappenedError: it still runs after `within` seconds.
        """
        try:
            return await asyncio.wait_for(self._started().wait(), within)  # noqa: TID251  # what measures others stands alone
        except TimeoutError as error:
            raise NeverHappenedError(what=f"the exit of {self!r}", within=within, last=self.lines[-20:]) from error

    async def kill(self) -> int:
        """Kill it, and it alone, with SIGKILL; return its exit status when it is gone."""
        return await self.send(signal.SIGKILL)

    async def send(self, number: signal.Signals, *, within: float = 30.0) -> int:
        """Send it a signal and wait until it ends; return its exit status."""
        with contextlib.suppress(ProcessLookupError):
            self._started().send_signal(number)
        return await self.wait(within=within)

    async def _wait_for(self, look: Callable[[], str | None], *, what: str, within: float) -> str:
        try:
            async with asyncio.timeout(within):  # noqa: TID251  # what measures others stands alone
                while (found := look()) is None:
                    if self._ended:
                        raise NeverHappenedError(what=what, within=within, last=self.lines[-20:])
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError as error:
            raise NeverHappenedError(what=what, within=within, last=self.lines[-20:]) from error
        return found

    def _take(self, containing: str) -> str | None:
        while self._unread:
            line = self._unread.popleft()
            if containing in line:
                return line
        return None

    async def _read(self) -> None:
        stream = self._started().stdout
        while stream is not None and (raw := await stream.readline()):
            line = raw.decode(errors="replace").rstrip("\r\n")
            self._lines.append(line)
            self._unread.append(line)
            self._news.set()
        self._ended = True
        self._news.set()

    def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise ClosedError(what="the child process", hint="enter it first: `async with PythonChild(...)`")
        return self._process
