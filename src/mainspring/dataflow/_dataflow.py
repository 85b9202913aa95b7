"""`Dataflow`: a topology of processes that pass messages, declared, then run."""

import asyncio
import copy
import logging
import math
import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final, Self, get_args

from mainspring.base import Backoff
from mainspring.dataflow._describe import FlowGraph, describe_as_mermaid, describe_as_text, graph_of
from mainspring.dataflow._part import Part
from mainspring.dataflow._plan import DeadLetterHook, Delivery, WorkerPlan, pack
from mainspring.dataflow._seat import Flow, Mode
from mainspring.dataflow._statistics import DataflowStats
from mainspring.dataflow._supervisor import Supervisor
from mainspring.dataflow._topology import Stage, Topology
from mainspring.errors import InvalidArgumentError, MisuseError

log: Final = logging.getLogger(__name__)

_START_METHODS: Final = (None, "fork", "forkserver", "spawn")
_RESTART: Final = Backoff(0.05, maximum=5.0, max_tries=12)
_HEALTHY_AFTER: Final = 10.0


class Dataflow:
    """A topology of processes: each stage's workers take messages from the stage before and send them on.

    Nothing runs before `start()` or `async with`. A worker that dies is restarted; with "at-least-once" what it
    was not done with is sent again, so a message may be seen twice but is never lost between two stages. Edges with
    `via=JetStream(...)` travel over a NATS server, and `part()` runs some of the stages here and the rest elsewhere.

    Args:
        name: in logs, statistics and process names.
        topology: the stages, first to last; see `Runner` and `NetworkRunner`.
        mode: "process" for a process for each worker, "inline" for all in this one (tests, debuggers).
        start_method: how processes start; by default "fork" while this process has one thread, else
            "forkserver", for which the callbacks must pickle (lambdas: with the extra `dataflow`).
        delivery: "at-least-once", or "at-most-once": what a worker had when it died is dropped and counted.
        restart: the pauses before a worker is restarted; a worker that dies `max_tries` times without having
            run for 10 s in between ends the dataflow.
        dead_letter: called in the worker with each message whose callback raised, as a BuriedMessage.
        stop_timeout: seconds for what is on its way when the dataflow stops; what is left then is killed.

    Raises:
        InvalidArgumentError: the topology, or another argument, cannot work; it says where.
        TaskNotPicklableError: a callback cannot travel by the start method that was asked for.
    """

    def __init__(
        self,
        name: str,
        topology: Sequence[Stage],
        *,
        mode: Mode = "process",
        start_method: str | None = None,
        delivery: Delivery = "at-least-once",
        restart: Backoff = _RESTART,
        dead_letter: DeadLetterHook | None = None,
        stop_timeout: float = 30.0,
    ) -> None:
        for argument, value, choices in (
            ("mode", mode, get_args(Mode)),
            ("start_method", start_method, _START_METHODS),
            ("delivery", delivery, get_args(Delivery)),
        ):
            if value not in choices:
                expected = f"one of {', '.join(map(repr, choices))}"
                raise InvalidArgumentError(argument=argument, value=value, expected=expected)
        if not 0 < stop_timeout < math.inf:
            raise InvalidArgumentError(argument="stop_timeout", value=stop_timeout, expected="finite seconds > 0")
        self.name = name
        self.topology = Topology(tuple(topology))
        part = Part.whole(self.topology)
        self._flow = Flow(name, self.topology, mode, start_method, delivery, restart, _HEALTHY_AFTER, dead_letter, part)
        self._stop_timeout = stop_timeout
        self._supervisor: Supervisor | None = None
        if mode == "process" and start_method in ("forkserver", "spawn"):
            self._check_that_it_travels()

    def __repr__(self) -> str:
        widths = "-".join(str(len(places)) for places in self._flow.part.places)
        state = "idle" if self._supervisor is None else "over" if self._supervisor.is_over else "running"
        return f"<Dataflow {self.name!r} {widths} {state}>"

    def describe(self, form: str = "text") -> str:
        """Return the topology in words ("text") or as a Mermaid flowchart ("mermaid").

        Raises:
            InvalidArgumentError: another form.
        """
        if form == "mermaid":
            return describe_as_mermaid(self.graph())
        if form == "text":
            return describe_as_text(self.graph())
        raise InvalidArgumentError(argument="form", value=form, expected="'text' or 'mermaid'")

    def graph(self) -> FlowGraph:
        """Return the topology as plain data, with statistics and rates once it runs; for pages and programs."""
        return graph_of(self.name, self.topology, None if self._supervisor is None else self.stats())

    def part(self, *names: str) -> "Dataflow":
        """Return a dataflow that runs only some of the workers: the rest runs elsewhere, from the same declaration.

        What crosses the border travels over NATS (`Edge(via=...)`). Stages whose senders run elsewhere wait for
        messages until `stop()`. A worker's place may run in one part only.

        Args:
            names: stages by title or number ("work", "1"), or single places ("1.0").

        Raises:
            InvalidArgumentError: a name is none of these, or an edge without `via` crosses the border.
            MisuseError: this one was started.
        """
        if self._supervisor is not None:
            raise MisuseError(what=repr(self), problem="was started as a whole", hint="take the part before")
        part = copy.copy(self)
        part._flow = replace(self._flow, part=Part.chosen(self.topology, names))
        return part

    def start(self) -> None:
        """Run until every source has ended, or until SIGINT or SIGTERM; then let everything be done. Blocks.

        A second signal ends the program at once, with the code 128 + its number, and its workers with it.

        Raises:
            StageFailedError: a worker died again and again.
            EdgeUnavailableError: the NATS server of an edge cannot be used.
            Exception: as `wait`.
        """
        asyncio.run(self.run())

    async def run(self) -> None:
        """Do what `start` does, in the running loop."""
        loop = asyncio.get_running_loop()
        asked = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, partial(self._ask_to_stop, asked, number))
        try:
            async with self:
                ending = asyncio.create_task(self.wait())
                asking = asyncio.create_task(asked.wait())
                try:
                    await asyncio.wait([ending, asking], return_when=asyncio.FIRST_COMPLETED)
                    if ending.done():
                        ending.result()
                finally:
                    ending.cancel()
                    asking.cancel()
                    await asyncio.gather(ending, asking, return_exceptions=True)
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _ask_to_stop(self, asked: asyncio.Event, number: int) -> None:
        if asked.is_set():
            os._exit(128 + number)  # the workers see that and end
        asked.set()
        log.warning(
            "%s: got %s: what is on its way may be done, for %g s at most; a second Ctrl-C or SIGTERM ends it now",
            self.name,
            signal.Signals(number).name,
            self._stop_timeout,
        )

    async def wait(self) -> None:
        """Wait until every source has ended and every message is done.

        Raises:
            StageFailedError: a worker died again and again.
            ConnectionClosedError: a pipe of `read_pipes` ended inside a message; everything else is done.
            FrameTooLargeError: a message of such a pipe was above 16 MiB; likewise.
            MisuseError: it does not run.
        """
        await self._running().wait()

    async def stop(self) -> None:
        """Stop the sources, let everything on its way be done, end every worker. Nothing happens twice."""
        if self._supervisor is not None:
            await self._supervisor.stop(timeout=self._stop_timeout)

    async def __aenter__(self) -> Self:
        if self._supervisor is not None:
            raise MisuseError(what=repr(self), problem="runs already, or has run", hint="make another one")
        self._supervisor = Supervisor(self._flow)
        try:
            await self._supervisor.start()
        except BaseException:
            await self._supervisor.stop(timeout=self._stop_timeout)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def pids(self) -> dict[str, int]:
        """The process of each worker that runs now, by the worker's place as "1.3"."""
        seats = self._supervisor.seats if self._supervisor is not None else []
        return {seat.id: seat.child.pid for seat in seats if seat.child is not None and not seat.is_done}

    @property
    def addresses(self) -> dict[str, tuple[str, int]]:
        """Where its network workers listen, by the worker's place as "0.0"."""
        seats = self._supervisor.seats if self._supervisor is not None else []
        pairs = {seat.id: seat.address.rpartition(":") for seat in seats if seat.address}
        return {place: (host.strip("[]"), int(port)) for place, (host, _, port) in pairs.items()}

    def stats(self) -> DataflowStats:
        """Return what has been done so far.

        Raises:
            MisuseError: it was not started.
        """
        return self._running().counts.stats()

    def _running(self) -> Supervisor:
        if self._supervisor is None:
            raise MisuseError(what=repr(self), problem="was not started", hint="use `async with` or start()")
        return self._supervisor

    def _check_that_it_travels(self) -> None:
        flow, stages = self._flow, self.topology.stages
        for level, stage in enumerate(stages):
            pack(WorkerPlan(flow.title, stage, level, 0, None, flow.delivery, flow.dead_letter))
