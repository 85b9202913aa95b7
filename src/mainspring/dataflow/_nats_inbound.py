"""The receiver's end of an edge that a NATS stream carries.

Messages come in the order of the stream, and each is known by its number there, so that a worker that lives gets none
twice, however often the connection breaks. A worker that was killed leaves what it was not done with to the next one
in its place: that one's consumer is new and begins with the first message that is still in the stream.
"""

import asyncio
from collections import OrderedDict, deque
from typing import Any, Final  # Any: messages of nats-py

from mainspring.base import Backoff
from mainspring.dataflow._ledger import Ledger
from mainspring.dataflow._link import Payload
from mainspring.dataflow.nats import NatsSession
from mainspring.errors import EdgeUnavailableError
from mainspring.resilience import timeout

_BATCH: Final = 512  # messages asked for at once
_PULL_SECONDS: Final = 5.0
_PULL_GRACE: Final = 10.0
_EMPTY_PAUSES: Final = Backoff(0.02, maximum=0.5)
_NOTHING_LEFT: Final = ("404", "408")


class NatsInbound:
    """What arrives for one worker, and how much of it is done.

    Args:
        receiver: the worker's place.
        most: messages that may be here and not done.
        repeats: whether the server keeps a message until it is done; else only until it is here.
    """

    def __init__(self, *, receiver: int, most: int, repeats: bool) -> None:
        self.ledger = Ledger(self._note_done)
        self._receiver = receiver
        self._most = most
        self._repeats = repeats
        self._payloads: deque[Payload] = deque()
        self._unsaid: deque[tuple[int, Payload]] = deque()  # with at-most-once: the server does not know yet
        # Numbers in the stream of what is not done, and where to say so on this connection.
        self._held: OrderedDict[int, str] = OrderedDict()
        self._done_count = 0
        self._newest = 0
        self._made_at: object = None  # of the stream that the numbers are of
        self._next_delivery = 1
        self._expected = 0  # of the messages that were asked for
        self._done: deque[str] = deque()
        self._changed = asyncio.Event()
        self._session: NatsSession | None = None
        self._has_ended = False

    @property
    def progress(self) -> int | None:
        """None: a pull that nobody answers ends the session by itself."""
        return None

    async def take(self) -> list[Payload]:
        """Return what has arrived; wait for it. An empty list is the end."""
        while not self._payloads and not (self._has_ended and not (self._unsaid and self._session)):
            await self._until_change()
        payloads = list(self._payloads)
        self._payloads.clear()
        return payloads

    async def finish(self, *, drains: bool) -> None:
        """Take nothing more: once nothing is left in the stream if `drains`, else at once."""
        if drains:
            await self._until_empty()
        self._has_ended = True
        self._changed.set()

    async def settle(self) -> None:
        """Wait until everything that is done has been said to be, or nobody is there to hear it."""
        while self._done and self._session is not None:
            await self._until_change()

    async def run(self, session: NatsSession) -> None:
        """Ask for messages, take them, and say which are done, until cancelled."""
        self._held = OrderedDict.fromkeys(self._held, "")
        self._done.clear()
        self._next_delivery = 1
        if self._unsaid:
            self._newest = self._unsaid[0][0] - 1  # they come again, unless the server has heard
            self._unsaid.clear()
        if session.made_at != self._made_at or session.last_number < self._newest:
            self._made_at, self._newest = session.made_at, 0  # another stream of this name: its numbers begin again
            self._held = OrderedDict.fromkeys(range(-len(self._held), 0), "")
        await session.renew_consumer(self._receiver, most=self._most)
        self._session = session
        try:
            async with session.inbox(self._take) as inbox:
                while True:
                    await self._pull(session, inbox)
        finally:
            self._session = None
            self._changed.set()

    @property
    def is_full(self) -> bool:
        """Whether nothing is asked for before more of what is here is done."""
        return self._room < min(_BATCH, (self._most + 1) // 2)

    @property
    def _room(self) -> int:
        return self._most - len(self._held) - len(self._unsaid)

    async def _pull(self, session: NatsSession, inbox: str) -> None:
        """Take up to as many as there is room for."""
        if self._has_ended or self.is_full:
            await self._say_what_is_done(session)
            await self._until_change()
            return
        self._expected = min(_BATCH, self._room)
        await session.ask_for(self._receiver, self._expected, within=_PULL_SECONDS, inbox=inbox)
        try:
            async with timeout(_PULL_SECONDS + _PULL_GRACE):
                while self._expected > 0:
                    await self._say_what_is_done(session)
                    if self._expected > 0:
                        await self._until_change()
        except TimeoutError as error:
            raise session.unavailable("it does not answer") from error

    async def _take(self, message: Any) -> None:
        """Take what came to the inbox."""
        session = self._session
        if session is None:
            return
        headers: dict[str, str] = message.headers or {}
        if status := headers.get("Status"):
            if status not in _NOTHING_LEFT:
                session.fail(f"status {status} {headers.get('Description', '')}".rstrip())
            self._expected = 0
        else:
            self._take_delivery(session, message)
        self._changed.set()

    def _take_delivery(self, session: NatsSession, message: Any) -> None:
        delivery, number = message.metadata.sequence.consumer, message.metadata.sequence.stream
        if delivery != self._next_delivery:  # then a number that was not taken may be below the newest
            session.fail("a message was lost on its way here")
            return
        self._next_delivery += 1
        self._expected -= 1
        if number > self._newest and not self._has_ended:
            self._newest = number
            if self._repeats:
                self._hand_over(number, message.data, message.reply)
            else:
                self._unsaid.append((number, message.data))
                self._done.append(message.reply)
        elif self._held.get(number) is not None and self._repeats:
            self._held[number] = message.reply
        elif number <= self._newest:
            self._done.append(message.reply)

    def _hand_over(self, number: int, payload: Payload, reply: str) -> None:
        self._held[number] = reply
        self._payloads.append(payload)
        self._changed.set()

    def _note_done(self, count: int) -> None:
        for _ in range(count - self._done_count):
            _, reply = self._held.popitem(last=False)
            if reply:
                self._done.append(reply)
        self._done_count = count
        self._changed.set()

    async def _say_what_is_done(self, session: NatsSession) -> None:
        while self._done or self._unsaid:  # more may come while this waits
            count = len(self._unsaid)
            while self._done:
                # the last word before a consumer's end: the next one is not to get again what is done
                await session.acknowledge(self._done[0], wait=self._has_ended and len(self._done) == 1)
                self._done.popleft()
            if count:
                await session.flush()
                for number, payload in [self._unsaid.popleft() for _ in range(count)]:
                    self._hand_over(number, payload, "")
        if self._has_ended:
            self._changed.set()

    async def _until_empty(self) -> None:
        for pause in _EMPTY_PAUSES.delays():
            if await self._is_empty():
                return
            await asyncio.sleep(pause)

    async def _is_empty(self) -> bool:
        session = self._session
        if session is None or self._held:
            return False
        try:
            return 0 == await session.count_unfinished(self._receiver)
        except EdgeUnavailableError:
            return False

    async def _until_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
