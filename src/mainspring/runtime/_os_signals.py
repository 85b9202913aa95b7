"""Signals of the operating system: the first one asks the program to stop, the second one ends it at once."""

import os
import signal
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any


class OsSignals:
    """Installs handlers in the main thread and puts the previous ones back."""

    def __init__(self, stop_on: Sequence[int], on_stop: Callable[[int], None]) -> None:
        self.received: int | None = None
        self._on_stop = on_stop
        self._actions: dict[int, Callable[[], None] | None] = dict.fromkeys(stop_on)
        self._before: dict[int, Any] = {}  # Any: what signal.signal returns and takes

    @property
    def wanted(self) -> bool:
        """Whether any signal is to be handled."""
        return bool(self._actions)

    def also(self, number: int, action: Callable[[], None]) -> None:
        """Call `action` whenever the signal comes; before `install()`."""
        self._actions[number] = action

    def install(self) -> None:
        """Take over the signals; plain handlers, since a loop's own are deaf while the loop does not run."""
        for number in self._actions:
            self._before[number] = signal.signal(number, self._handle)

    def restore(self) -> None:
        """Put back what was there before."""
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        action = self._actions[number]
        if action is not None:
            action()
        elif self.received is not None:
            os._exit(128 + number)
        else:
            self.received = number
            self._on_stop(number)
