"""Broadcast: one message to many connections, where the slow ones harm nobody.

The messages of a turn of the loop are encoded once for each kind of link, joined, and the same bytes are written
to all at the turn's end: one call of the system for each connection, however many messages there were. Whatever
else is written to one of the connections meanwhile ends the turn early, so the order is that of the calls. A
connection that takes no more gets a bounded queue and one task that empties it; the others never wait for it.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Self, TypeAlias, get_args

from mainspring.base import Statistic
from mainspring.errors import ClosedError, ConnectionClosedError, InvalidArgumentError
from mainspring.transport._connection import Connection
from mainspring.transport._link import Link
from mainspring.transport._outbox import turn_of
from mainspring.transport._prepared import Prepared
from mainspring.transport._records import Bytes

log = logging.getLogger(__name__)

SlowPolicy: TypeAlias = Literal["drop-oldest", "drop-client", "conflate"]
"""What becomes of a subscriber that does not keep up: it misses old messages, it is cut off, or it gets the
latest message of each key."""

_WAIT_SECONDS: Final = 5.0
_TURN_BYTES: Final = 1 << 16


class BroadcastStatistic(Statistic):
    """Counters of one broadcast: subscribers now, messages in and out, what slow ones missed, who was cut off."""

    subscribers: int
    messages: int
    deliveries: int
    dropped: int
    cut: int


@dataclass(frozen=True, slots=True)
class BroadcastStats:
    """What a broadcast has done so far.

    Attributes:
        subscriber_count: now.
        slow_count: of these, those that do not keep up now.
        message_count: messages that were given to it.
        delivery_count: messages that were given to connections.
        dropped_count: messages that slow subscribers missed.
        cut_count: subscribers that were cut off because they were slow.
    """

    subscriber_count: int
    slow_count: int
    message_count: int
    delivery_count: int
    dropped_count: int
    cut_count: int


class Subscriber:
    """One connection of a broadcast.

    Attributes:
        dropped_count: messages that it missed.
    """

    __slots__ = (
        "_broadcast", "_numbers", "connection", "dropped_count", "outbox", "task", "waiting", "waiting_bytes",
    )  # fmt: skip

    def __init__(self, connection: Connection, broadcast: "Broadcast") -> None:
        self._broadcast = broadcast
        self.connection = connection
        self.outbox = connection.link.outbox
        self.waiting: OrderedDict[Hashable, Prepared] = OrderedDict()
        self.waiting_bytes = 0
        self.task: asyncio.Task[None] | None = None
        self.dropped_count = 0
        self._numbers = 0

    def __repr__(self) -> str:
        return f"<Subscriber {self.connection.peer} waiting={len(self.waiting)} dropped={self.dropped_count}>"

    def flush(self) -> None:
        """Somebody writes to the connection: what was broadcast before goes before."""
        self._broadcast.flush()

    def note_change(self) -> None:
        """The connection may keep up no more, or again."""
        self._broadcast.note_change()

    def note_end(self) -> None:
        """The connection takes nothing more."""
        self._broadcast.remove(self.connection)

    def settle(self) -> None:
        """Somebody asks what the connection has carried."""
        self._broadcast.settle()

    def hold(self, message: Prepared, key: Hashable | None) -> None:
        """Let a message wait; it takes the place of one with the same key, if there is a key."""
        self._numbers += 1
        slot: Hashable = self._numbers if key is None else ("key", key)
        older = self.waiting.pop(slot, None)
        if older is not None:
            self._count_dropped(older)
        self.waiting[slot] = message
        self.waiting_bytes += len(message)

    def drop_oldest(self) -> None:
        """Forget the message that has waited longest."""
        self._count_dropped(self.waiting.popitem(last=False)[1])

    def next(self) -> Prepared:
        """Take the message that has waited longest."""
        _, message = self.waiting.popitem(last=False)
        self.waiting_bytes -= len(message)
        return message

    def _count_dropped(self, message: Prepared) -> None:
        self.waiting_bytes -= len(message)
        self.dropped_count += 1


class _Group:
    """Subscribers that keep up and take the same bytes, and what they all have got since they are together."""

    __slots__ = ("count", "link", "links", "nbytes", "send")

    def __init__(self, link: Link) -> None:
        self.link = link
        self.links: list[Link] = []
        self.send: Callable[[Sequence[Bytes]], None] = link.outbox.send
        self.count = 0
        self.nbytes = 0


class Broadcast:
    """Sends messages to many connections without waiting for any of them. Used from one loop.

    Args:
        policy: what becomes of a subscriber that does not keep up; "conflate" needs messages with keys.
        max_waiting: messages that wait for one slow subscriber, besides the 256 KiB on their way.
        max_waiting_bytes: and their bytes.
        name: of its statistic.

    Raises:
        InvalidArgumentError: an argument is outside of its range.
    """

    def __init__(
        self,
        *,
        policy: SlowPolicy = "drop-oldest",
        max_waiting: int = 1000,
        max_waiting_bytes: int = 4 << 20,
        name: str | None = None,
    ) -> None:
        if policy not in get_args(SlowPolicy):
            raise InvalidArgumentError(argument="policy", value=policy, expected=f"one of {get_args(SlowPolicy)}")
        for bound, value in (("max_waiting", max_waiting), ("max_waiting_bytes", max_waiting_bytes)):
            if value < 1:
                raise InvalidArgumentError(argument=bound, value=value, expected="1 or more")
        self._policy = policy
        self._max_waiting = max_waiting
        self._max_waiting_bytes = max_waiting_bytes
        self._subscribers: dict[Connection, Subscriber] = {}
        self._turn: list[tuple[Prepared, Hashable | None]] = []  # sent, and not yet given to connections
        self._turn_bytes = 0
        self._slow_count = 0
        self._encodings: dict[str, Link] = {}  # one link of each kind that takes part
        self._groups: dict[str, _Group] = {}
        self._others: list[Subscriber] = []  # who is in no group
        self._is_stale = False  # somebody's state has changed since they were made
        self._statistic = BroadcastStatistic(name)

    def __repr__(self) -> str:
        return f"<Broadcast {self._policy} subscribers={len(self._subscribers)} messages={self._statistic.messages}>"

    def __len__(self) -> int:
        return len(self._subscribers)

    def add(self, connection: Connection) -> Subscriber:
        """Let a connection take part until it is removed or gone."""
        subscriber = self._subscribers.get(connection)
        if subscriber is None:
            self.flush()  # it has not subscribed to these
            subscriber = Subscriber(connection, self)
            if connection.is_closed:
                return subscriber
            self._subscribers[connection] = subscriber
            self._encodings[connection.link.encoding] = connection.link
            subscriber.outbox.attach(subscriber)  # which says that something has changed
            self._statistic.subscribers += 1
        return subscriber

    def remove(self, connection: Connection) -> None:
        """Let a connection take part no more; what waits for it is dropped. It stays open."""
        self.flush()
        self.settle()
        subscriber = self._subscribers.pop(connection, None)
        if subscriber is not None:
            subscriber.outbox.detach(subscriber)
            self._statistic.subscribers -= 1
            self._statistic.dropped += len(subscriber.waiting)
            if not self._subscribers:
                self._encodings.clear()
            if subscriber.task is not None:
                self._slow_count -= 1
                subscriber.task.cancel()

    def send(
        self, message: Prepared | bytes, *, key: Hashable | None = None, to: Iterable[Subscriber] | None = None
    ) -> int:
        """Send a message; never waits. Return how many subscribers keep up; for slow ones it waits.

        Those who keep up get it at the end of this turn of the loop, or before whatever else is written to them.

        Args:
            message: bytes, or what `prepare` made.
            key: what the message is about; with "conflate", it takes the place of an older one that waits.
            to: only these subscribers; all when None.

        Raises:
            FrameTooLargeError: the length of a subscriber's kind of link has no room for its size.
        """
        prepared = message if isinstance(message, Prepared) else Prepared(message, is_text=False)
        self._statistic.messages += 1
        if to is not None:
            reached = self._write_to(to, prepared, key)
            self._statistic.deliveries += reached
            return reached
        if not self._subscribers:
            return 0
        for link in self._encodings.values():
            prepared.frame_for(link)  # what is too long is the sender's error, not one of the turn's end
        if not self._turn:
            turn_of(asyncio.get_running_loop()).add(self)
        self._turn.append((prepared, key))
        self._turn_bytes += len(prepared)
        if self._turn_bytes >= _TURN_BYTES:
            self.flush()
        return len(self._subscribers) - self._slow_count

    def flush(self) -> None:
        """Give what was sent in this turn of the loop to the connections now."""
        if not self._turn:
            return
        messages, nbytes, self._turn, self._turn_bytes = self._turn, self._turn_bytes, [], 0
        if self._is_stale:
            self._regroup()
        count = len(messages)
        for group in list(self._groups.values()):
            link = group.link
            group.send(link.combine([message.frame_for(link) for message, _ in messages]))
            group.count += count
            group.nbytes += nbytes
            self._statistic.deliveries += count * len(group.links)
        for subscriber in self._others:
            self._statistic.deliveries += count * self._write(subscriber, messages)

    end_turn = flush

    async def close(self) -> None:
        """Drop what waits and forget all subscribers; their connections stay open."""
        tasks = [one.task for one in self._subscribers.values() if one.task is not None]
        for connection in list(self._subscribers):
            self.remove(connection)
        if tasks:
            await asyncio.wait(tasks, timeout=_WAIT_SECONDS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def stats(self) -> BroadcastStats:
        """Return what was done so far."""
        subscribers = self._subscribers.values()
        return BroadcastStats(
            subscriber_count=len(subscribers),
            slow_count=self._slow_count,
            message_count=self._statistic.messages,
            delivery_count=self._statistic.deliveries,
            dropped_count=self._statistic.dropped,
            cut_count=self._statistic.cut,
        )

    def note_change(self) -> None:
        """A subscriber may keep up no more, or again."""
        self._is_stale = True

    def settle(self) -> None:
        """Count for each connection what its group has got."""
        for group in self._groups.values():
            for link in group.links:
                link.outbox.note_sent(group.count, group.nbytes)
        self._groups, self._others, self._is_stale = {}, [], True

    def _regroup(self) -> None:
        self.settle()
        for subscriber in self._subscribers.values():
            if subscriber.task is not None or not subscriber.outbox.is_open or subscriber.outbox.parts:
                self._others.append(subscriber)
                continue
            link = subscriber.connection.link
            group = self._groups.get(link.encoding)
            if group is None:
                group = self._groups[link.encoding] = _Group(link)
            group.links.append(link)
        for group in self._groups.values():
            group.send = group.link.sender(group.links)
        self._is_stale = False

    def _write_to(self, to: Iterable[Subscriber], message: Prepared, key: Hashable | None) -> int:
        """Write a message to some; return to how many it was written, the others have it wait."""
        reached, size = 0, len(message)
        for one in to:
            outbox = one.outbox
            if one.task is None and outbox.is_open:  # `_write` for one message, in two thirds of the time
                outbox.write(message.frame_for(one.connection.link))
                outbox.note_sent(1, size)
                reached += 1
            else:
                self._write(one, [(message, key)])
        return reached

    def _write(self, subscriber: Subscriber, messages: Sequence[tuple[Prepared, Hashable | None]]) -> bool:
        """Write messages to one subscriber, or let them wait; tell whether they were written."""
        outbox, link = subscriber.outbox, subscriber.connection.link
        if subscriber.task is not None or not outbox.is_open:
            self.flush()  # what it has not got of this turn was sent before
            for message, key in messages:
                self._hold(subscriber, message, key)
            return False
        for message, _ in messages:
            outbox.write(message.frame_for(link))
            outbox.note_sent(1, len(message))
        return True

    def _hold(self, subscriber: Subscriber, message: Prepared, key: Hashable | None) -> None:
        if subscriber.outbox.error is not None or self._subscribers.get(subscriber.connection) is not subscriber:
            return  # it was removed when its link ended
        before = subscriber.dropped_count
        subscriber.hold(message, key if self._policy == "conflate" else None)
        while len(subscriber.waiting) > self._max_waiting or (
            subscriber.waiting_bytes > self._max_waiting_bytes and len(subscriber.waiting) > 1
        ):
            if self._policy == "drop-client":
                self._cut(subscriber)
                return
            subscriber.drop_oldest()
        self._statistic.dropped += subscriber.dropped_count - before
        if subscriber.task is None:
            self._slow_count += 1
            name = f"broadcast to {subscriber.connection.peer}"
            subscriber.task = asyncio.get_running_loop().create_task(self._empty(subscriber), name=name)

    def _cut(self, subscriber: Subscriber) -> None:
        self._statistic.cut += 1
        log.warning("%s did not keep up and is cut off", subscriber.connection.peer)
        self.remove(subscriber.connection)
        reason = "it did not keep up with what was sent to it"
        subscriber.connection.link.abort(ConnectionClosedError(what="the subscriber", reason=reason))

    async def _empty(self, subscriber: Subscriber) -> None:
        """Send what waits, as fast as the connection takes it."""
        try:
            while subscriber.waiting:
                await subscriber.connection.flush()
                if subscriber.waiting:
                    await subscriber.connection.write_prepared(subscriber.next())
                    self._statistic.deliveries += 1
        except (ConnectionClosedError, ClosedError) as error:
            log.debug("%s is gone while messages wait for it: %s", subscriber.connection.peer, error)
        finally:
            subscriber.task = None
            self._is_stale = True
            if self._subscribers.get(subscriber.connection) is subscriber:  # else it was counted when it was removed
                self._slow_count -= 1
