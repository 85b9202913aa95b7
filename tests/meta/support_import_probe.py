"""Run in a child: import modules and print, as JSON, what that did beside loading modules.

Usage: python -I support_import_probe.py SRC MODULE...

Only what mainspring's own code does counts. The frames above an event are read up to the next import: what a third
party does while it is imported is its own affair.
"""

import collections.abc
import importlib
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

WATCHED = ("open", "os.", "socket.", "subprocess.", "sqlite3.", "_thread.", "shutil.", "tempfile.", "ctypes.")
SRC = sys.argv[1]
HOUSE = os.path.join(SRC, "")
events: list[str] = []


def culprit() -> str | None:
    """Return the line of mainspring that is running, unless an import lies between."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith("<frozen importlib"):
            return None
        if file.startswith(HOUSE):
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back
    return None


def audit(event: str, arguments: tuple[object, ...]) -> None:
    """Note an event that touches the world."""
    if event.startswith(WATCHED):
        where = culprit()
        if where is not None:
            events.append(f"{where}: {event}{arguments!r}"[:200])


class RecordingEnviron(collections.abc.MutableMapping[str, str]):
    """`os.environ` that notes who reads or writes it."""

    def __init__(self, real: "os._Environ[str]") -> None:
        self._real = real

    def _note(self, what: str) -> None:
        where = culprit()
        if where is not None:
            events.append(f"{where}: os.environ {what}")

    def __getitem__(self, key: str) -> str:
        self._note(f"read {key}")
        return self._real[key]

    def __setitem__(self, key: str, value: str) -> None:
        self._note(f"write {key}")
        self._real[key] = value

    def __delitem__(self, key: str) -> None:
        self._note(f"delete {key}")
        del self._real[key]

    def __iter__(self) -> Iterator[str]:
        self._note("walk")
        return iter(self._real)

    def __len__(self) -> int:
        return len(self._real)


def main() -> None:
    """Import what was asked for, watched."""
    sys.path.insert(0, SRC)
    handlers, signals = list(logging.root.handlers), {one: signal.getsignal(one) for one in signal.valid_signals()}
    os.environ = RecordingEnviron(os.environ)  # type: ignore[assignment]  # noqa: B003
    sys.addaudithook(audit)
    for name in sys.argv[2:]:
        importlib.import_module(name)
    if threading.active_count() > 1:
        events.append(f"threads run: {threading.enumerate()}")
    if handlers != logging.root.handlers or logging.root.level != logging.WARNING:
        events.append("logging was configured")
    events.extend(f"the handler of {one!r} was replaced" for one in signals if signal.getsignal(one) != signals[one])
    sys.stdout.write(json.dumps({"events": events, "modules": sorted(sys.modules)}))


if __name__ == "__main__":
    main()
