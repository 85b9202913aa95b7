"""Services of the process tests; they travel by name, so they live in a module of their own."""

import logging
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from mainspring.services import ProcessService, RespawningProcessService

log = logging.getLogger(__name__)


class Waiting(ProcessService):
    """Writes its pid and waits."""

    path: str = ""

    def in_process(self) -> None:
        partial = Path(f"{self.path}.partial")
        partial.write_text(str(os.getpid()))
        partial.rename(self.path)
        threading.Event().wait()


class Deaf(Waiting):
    """Ignores SIGINT."""

    def in_process(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        super().in_process()


class Ending(ProcessService):
    """Ends as it is told to."""

    code: object = 0

    def in_process(self) -> None:
        raise SystemExit(self.code)


class Talking(ProcessService):
    """Logs what it was given."""

    def get_process_kwargs(self) -> dict[str, Any]:
        return {"text": "hello from the other side"}

    def in_process(self, text: str = "") -> None:
        log.warning(text)


class Verbose(ProcessService):
    """Logs more at once than fits in a frame, and goes on."""

    def in_process(self) -> None:
        for number in range(3):
            log.warning("much %d %s", number, "x" * (8 << 20))
        log.warning("%s", "y" * (20 << 20))
        log.warning("still heard")


class Parent(ProcessService):
    """Leaves a process behind that holds all its descriptors."""

    def in_process(self) -> None:
        if os.fork() == 0:
            time.sleep(5)
            os._exit(0)


class Mortal(RespawningProcessService):
    """Adds a line to a file and dies."""

    path: str = ""

    def in_process(self) -> None:
        with Path(self.path).open("a") as file:
            file.write("x\n")
        os._exit(42)


class NeverBegins(ProcessService):
    """Cannot be unpickled there."""

    def __setstate__(self, state: Any) -> None:
        os._exit(3)

    def in_process(self) -> None:
        raise NotImplementedError
