"""The wheel of one loop and the single timer that turns it."""

import asyncio
import weakref
from collections import OrderedDict
from typing import Final, Protocol

from mainspring.concurrency._wheel import Wheel

_AT_ONCE: Final = 256  # entries told in one turn of the loop, so that a crowd does not block it

# Weak on both sides: a ticker that has something to tell is kept by its timer, which the loop keeps.
_tickers: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[Ticker]]" = weakref.WeakKeyDictionary()


class Due(Protocol):
    """What lies in the wheel."""

    def on_due(self) -> None:
        """The time has come."""
        ...

    def __hash__(self) -> int: ...


class Ticker:
    """Tells entries when they are due, on its loop, with one loop timer for all of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._wheel: Wheel[Due] = Wheel()
        self._timer: asyncio.Handle | None = None
        self._timer_due = 0.0  # what the timer is set to; uvloop's handles do not say
        self._ready: OrderedDict[Due, None] = OrderedDict()
        self._turning = False

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> "Ticker":
        """Return the loop's ticker."""
        reference = _tickers.get(loop)
        ticker = None if reference is None else reference()
        if ticker is None:
            ticker = cls(loop)
            _tickers[loop] = weakref.ref(ticker)
        return ticker

    def add(self, entry: Due, due: float) -> None:
        """Tell the entry once, at `due` in the loop's time."""
        self._wheel.add(entry, due)
        if not self._turning and (self._timer is None or due < self._timer_due):
            self._arm()

    def discard(self, entry: Due, due: float) -> None:
        """Do not tell the entry, which was added for `due`."""
        self._ready.pop(entry, None)
        self._wheel.discard(entry, due)
        if self._timer is not None and due <= self._timer_due:
            self._arm()

    async def sleep(self, delay: float) -> None:
        """Wait for `delay` seconds, at least for one turn of the loop."""
        if delay <= 0:
            return await asyncio.sleep(0)
        due = self._loop.time() + delay
        alarm = _Alarm(self._loop.create_future())
        self.add(alarm, due)
        try:
            await alarm.future
        except asyncio.CancelledError:
            self.discard(alarm, due)
            raise

    def _arm(self) -> None:
        """Set the timer for what comes next."""
        due = self._loop.time() if self._ready else self._wheel.next_due()
        if self._timer is not None:
            if self._timer_due == due:
                return
            self._timer.cancel()
        if due is None:
            self._timer = None
        else:
            self._timer_due = due
            self._timer = self._loop.call_at(due, self._turn)

    def _turn(self) -> None:
        now = max(self._loop.time(), self._timer_due)  # the loop may call a hair too early
        self._timer = None
        self._turning = True
        try:
            self._ready.update(dict.fromkeys(self._wheel.pop_due(now)))
            for _ in range(min(len(self._ready), _AT_ONCE)):
                if not self._ready:
                    break  # one of them discarded others
                self._ready.popitem(last=False)[0].on_due()
        finally:
            self._turning = False
            self._arm()


class _Alarm:
    __slots__ = ("future",)

    def __init__(self, future: "asyncio.Future[None]") -> None:
        self.future = future

    def on_due(self) -> None:
        if not self.future.done():
            self.future.set_result(None)
