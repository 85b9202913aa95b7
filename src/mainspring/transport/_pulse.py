"""Signs of life: who is silent is asked, who stays silent is gone, who says nothing of use is sent away."""

import asyncio
from collections.abc import Callable


class Pulse:
    """Watches one link with two timers that do nothing while it is busy.

    Args:
        heartbeat: seconds of silence after which the other end is asked, and after as many again counts as
            gone; None to wait for ever.
        idle_timeout: seconds without a record; None for no limit.
        is_deaf: whether nothing can be heard now, because nobody reads what has arrived.
        unsent: how many bytes wait for the other end to take them. Inside of a long record it can neither be asked
            nor answer, so that what it takes is its sign of life.
        ask: asks for a sign of life.
        lost: called with the reason, in words, when the link is to be given up.

    Attributes:
        was_heard: set by the owner whenever something came.
        asked_count: times that silence was asked about.
    """

    __slots__ = (
        "_ask", "_beat_timer", "_heartbeat", "_idle_timeout", "_idle_timer", "_is_deaf", "_last_record_at", "_loop",
        "_lost", "_unsent", "_unsent_at_beat", "_unsent_when_idle", "_was_asked", "asked_count", "was_heard",
    )  # fmt: skip

    def __init__(
        self,
        heartbeat: float | None,
        idle_timeout: float | None,
        *,
        is_deaf: Callable[[], bool],
        unsent: Callable[[], int],
        ask: Callable[[], None],
        lost: Callable[[str], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._heartbeat = heartbeat
        self._idle_timeout = idle_timeout
        self._is_deaf = is_deaf
        self._unsent = unsent
        self._unsent_at_beat = 0
        self._unsent_when_idle = 0
        self._ask = ask
        self._lost = lost
        self._beat_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._was_asked = False
        self._last_record_at = 0.0
        self.was_heard = True
        self.asked_count = 0

    def start(self) -> None:
        """Begin to watch."""
        if self._heartbeat is not None:
            self._beat_timer = self._loop.call_later(self._heartbeat, self._beat, self._heartbeat)
        if self._idle_timeout is not None:
            self._last_record_at = self._loop.time()
            self._idle_timer = self._loop.call_later(self._idle_timeout, self._check_idle, self._idle_timeout)

    def stop(self) -> None:
        """Watch no more."""
        for timer in (self._beat_timer, self._idle_timer):
            if timer is not None:
                timer.cancel()

    def note_record(self) -> None:
        """A record came."""
        if self._idle_timeout is not None:
            self._last_record_at = self._loop.time()

    def note_taken(self) -> None:
        """The other end took a piece of a record: it is there, and the link is not idle."""
        self.was_heard = True
        self.note_record()

    def _beat(self, interval: float) -> None:
        before, self._unsent_at_beat = self._unsent_at_beat, self._unsent()
        if self.was_heard or self._is_deaf() or self._unsent_at_beat < before:
            self.was_heard = self._was_asked = False
        elif self._was_asked:
            self._lost(f"there was no sign of life in {2 * interval:g} s")
            return
        else:
            self._was_asked = True
            self.asked_count += 1
            self._ask()
        self._beat_timer = self._loop.call_later(interval, self._beat, interval)

    def _check_idle(self, limit: float) -> None:
        left = self._last_record_at + limit - self._loop.time()
        before, self._unsent_when_idle = self._unsent_when_idle, self._unsent() if left <= 0 else 0
        is_taking = 0 < self._unsent_when_idle and (not before or self._unsent_when_idle < before)
        if self._is_deaf() or left > 0 or is_taking:
            self._idle_timer = self._loop.call_later(left if left > 0 else limit, self._check_idle, limit)
        else:
            self._lost(f"no record came in {limit:g} s")
