"""`Process`: what callbacks get as `p`, their worker's place in the topology and its ways onwards."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any  # Any: messages and a program's own state

from mainspring.dataflow._outbound import Outbound
from mainspring.dataflow._outlet import Outlet
from mainspring.dataflow._plan import WorkerPlan


class Process:
    """One worker of a topology, as its callbacks see it: `p`.

    Attributes:
        level: its stage, from 0.
        index: its place within the stage, from 0.
        stage: the stage's label.
        outbound: the ways to each worker of the next stage.
        state: for the program; a network worker keeps its connected clients under "clients".
        acknowledged: in a source, how many of the messages that the worker in this place has yielded are done
            for good. It is 0 at first; after a restart, a source goes on from there.
        restart_count: how often the worker in this place was restarted.
        address: where a listening network worker listens, once it does.
    """

    def __init__(
        self,
        plan: WorkerPlan,
        outbound: Sequence[Outbound],
        send: Callable[[Any], object],
        outlet: Outlet | None = None,
    ) -> None:
        self.level = plan.level
        self.index = plan.index
        self.stage = plan.stage.label
        self.outbound = outbound
        self.state: defaultdict[Any, Any] = defaultdict(list)
        self.acknowledged = plan.acknowledged
        self.restart_count = plan.restart_count
        self.address: tuple[str, int] | None = None
        self._send = send
        self._ways: list[Outbound | Outlet] = [*outbound, *([] if outlet is None else [outlet])]
        self._full: set[Outbound | Outlet] = set()
        self._room = asyncio.Event()
        for one in self._ways:
            one.on_full = self._full.add
            one.on_room = self._note_room

    def __repr__(self) -> str:
        return f"<Process {self.id} {self.stage!r}>"

    @property
    def id(self) -> str:
        """Stage and place, as "1.3"."""
        return f"{self.level}.{self.index}"

    @property
    def is_congested(self) -> bool:
        """Whether a worker of the next stage, or the sink, does not keep up, so that `drain` would wait."""
        return bool(self._full)

    def send(self, message: object) -> None:
        """Send a message to the next stage, along its edge. Never waits; see `Outbound`.

        Raises:
            ClosedError: this is the last stage.
            EncodeError: the message has no JSON form.
        """
        self._send(message)

    async def drain(self) -> None:
        """Wait until every worker of the next stage, and the sink, has room."""
        while self._full:
            self._room.clear()
            await self._room.wait()

    async def until_done(self) -> None:
        """Wait until all that was sent is done for good, and all that a sink was given is written."""
        while any(one.load for one in self._ways):
            self._room.clear()
            await self._room.wait()

    def _note_room(self, way: Outbound | Outlet) -> None:
        self._full.discard(way)
        self._room.set()
