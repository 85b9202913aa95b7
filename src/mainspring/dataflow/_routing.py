"""Who of a stage gets a message. Pure."""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any  # Any: messages are what a program makes them

from mainspring.base import encode_json
from mainspring.dataflow._outbound import Outbound
from mainspring.dataflow._topology import Stage
from mainspring.errors import ClosedError


def stable_hash(key: object) -> int:
    """Return a number that is the same for equal keys in every process and on every machine.

    Raises:
        EncodeError: the key has no JSON form.
    """
    return int.from_bytes(blake2b(encode_json(key), digest_size=8).digest(), "little")


def make_router(following: Stage | None, outbound: Sequence[Outbound]) -> Callable[[Any], object]:
    """Return what sends a message to the next stage, along its edge."""
    if following is None:
        return _refuse
    if following.edge.key is not None:
        return _ByKey(following.edge.key, outbound)
    if following.route == "broadcast":
        return _Broadcast(outbound)
    if following.route == "least-loaded":
        return _LeastLoaded(outbound)
    return _RoundRobin(outbound)


def _refuse(message: object) -> None:
    raise ClosedError(what="the end of the topology", hint="the last stage has nobody to send to")


class _ByKey:
    def __init__(self, key: Callable[[Any], object], outbound: Sequence[Outbound]) -> None:
        self._key = key
        self._outbound = outbound

    def __call__(self, message: Any) -> None:
        self._outbound[stable_hash(self._key(message)) % len(self._outbound)].send(message)


class _Broadcast:
    def __init__(self, outbound: Sequence[Outbound]) -> None:
        self._outbound = outbound

    def __call__(self, message: object) -> None:
        for one in self._outbound:
            one.send(message)


class _LeastLoaded:
    def __init__(self, outbound: Sequence[Outbound]) -> None:
        self._outbound = outbound

    def __call__(self, message: object) -> None:
        min(self._outbound, key=_load).send(message)


class _RoundRobin:
    """In turn; a worker that is gone or does not keep up is passed over while another one can take it."""

    def __init__(self, outbound: Sequence[Outbound]) -> None:
        self._outbound = outbound
        self._next = 0

    def __call__(self, message: object) -> None:
        outbound, chosen = self._outbound, self._next
        if not outbound[chosen].has_room:
            candidates = (step % len(outbound) for step in range(chosen + 1, chosen + len(outbound)))
            chosen = next((one for one in candidates if outbound[one].has_room), chosen)
        self._next = (chosen + 1) % len(outbound)
        outbound[chosen].send(message)


def _load(one: Outbound) -> tuple[bool, int]:
    return not one.is_attached, one.load
