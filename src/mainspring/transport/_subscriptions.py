"""Who wants which keys, and what the upstream has to be told: pure."""

from collections.abc import Hashable, Iterable, Set
from typing import Generic, NamedTuple, TypeVar

C = TypeVar("C", bound=Hashable)
Key = str | int | float | bool | None


class Changes(NamedTuple):
    """What the upstream has to be told: all keys that are wanted now, and what came and went since it was told."""

    current: frozenset[Key]
    added: frozenset[Key]
    removed: frozenset[Key]


class Subscriptions(Generic[C]):
    """The keys of each client. A key counts once, however many clients want it."""

    def __init__(self) -> None:
        self._clients: dict[Key, set[C]] = {}
        self._keys: dict[C, set[Key]] = {}
        self._all: dict[C, None] = {}  # in the order in which they came
        self._added: set[Key] = set()
        self._removed: set[Key] = set()

    def __repr__(self) -> str:
        return f"<Subscriptions clients={len(self._keys)} keys={len(self._clients)} all={len(self._all)}>"

    @property
    def everything(self) -> Iterable[C]:
        """Return the clients that want every message."""
        return self._all

    @property
    def has_changes(self) -> bool:
        """Whether there is something that the upstream has not been told."""
        return bool(self._added or self._removed)

    @property
    def key_count(self) -> int:
        """How many keys anybody wants: for each message of the upstream, so not the length of `keys`."""
        return len(self._clients)

    @property
    def keys(self) -> frozenset[Key]:
        """The keys that anybody wants."""
        return frozenset(self._clients)

    def clients_of(self, key: Key) -> Set[C]:
        """Return the clients that want a key."""
        return self._clients.get(key, set())

    def wants_everything(self, client: C) -> bool:
        """Tell whether a client gets the messages as they are."""
        return client in self._all

    def keys_of(self, client: C) -> Set[Key]:
        """Return the keys that a client wants."""
        return self._keys.get(client, set())

    def subscribe(self, client: C, keys: Iterable[Key]) -> None:
        """A client wants these keys too."""
        own = self._keys.setdefault(client, set())
        for key in keys:
            own.add(key)
            clients = self._clients.setdefault(key, set())
            if not clients:
                self._note(key, self._added, self._removed)
            clients.add(client)

    def unsubscribe(self, client: C, keys: Iterable[Key]) -> None:
        """A client wants these keys no more; those that it never wanted are ignored."""
        own = self._keys.get(client, set())
        for key in keys:
            if key not in own:
                continue
            own.discard(key)
            clients = self._clients[key]
            clients.discard(client)
            if not clients:
                del self._clients[key]
                self._note(key, self._removed, self._added)

    def subscribe_all(self, client: C) -> None:
        """A client wants every message."""
        self._all[client] = None

    def unsubscribe_all(self, client: C) -> None:
        """A client wants its keys only."""
        self._all.pop(client, None)

    def drop(self, client: C) -> None:
        """A client is gone."""
        self.unsubscribe(client, tuple(self.keys_of(client)))
        self._keys.pop(client, None)
        self._all.pop(client, None)

    def take_changes(self) -> Changes | None:
        """Return what the upstream has not been told, and count it as told; None when there is nothing."""
        if not self.has_changes:
            return None
        changes = Changes(self.keys, frozenset(self._added), frozenset(self._removed))
        self._added.clear()
        self._removed.clear()
        return changes

    def take_all(self) -> Changes | None:
        """Return everything as if it were new, for an upstream that knows nothing; None when nothing is wanted."""
        self._added.clear()
        self._removed.clear()
        return Changes(self.keys, self.keys, frozenset()) if self._clients else None

    @staticmethod
    def _note(key: Key, to: set[Key], against: set[Key]) -> None:
        """Note a change; one that undoes a change which was not told yet cancels it."""
        if key in against:
            against.discard(key)
        else:
            to.add(key)
