"""A worker of a topology: its callback, the ways to it and from it, and the line to its supervisor."""

import asyncio
import socket
from collections.abc import Awaitable, Iterator
from typing import Final

from mainspring.base import current_clock
from mainspring.dataflow._callbacks import Callback, MessageCallback, send_all
from mainspring.dataflow._control import Control, Note, NoteKind
from mainspring.dataflow._handler import Handler
from mainspring.dataflow._ledger import Ledger, current_token
from mainspring.dataflow._link import Inbound, Link, connect
from mainspring.dataflow._nats_inbound import NatsInbound
from mainspring.dataflow._nats_line import NatsLine
from mainspring.dataflow._nats_sender import NatsSender
from mainspring.dataflow._network import Network
from mainspring.dataflow._outbound import Outbound
from mainspring.dataflow._outlet import Outlet
from mainspring.dataflow._plan import WorkerPlan
from mainspring.dataflow._process import Process
from mainspring.dataflow._routing import make_router
from mainspring.dataflow._topology import Runner

_REPORT_SECONDS: Final = 0.5
_FROM_STREAM: Final = -1
_PROGRESS_SECONDS: Final = 0.005
_TURN_MESSAGES: Final = 256
_BLOCKED_SECONDS: Final = 0.001
_AFTER_BLOCK: Final = 8  # more would cost those dear that were only kept off the processor
_COUNTED: Final = ("sent_count", "sent_bytes", "acknowledged_count", "dropped_count", "lost_count", "redelivered_count")


async def run_worker(plan: WorkerPlan, end: socket.socket) -> None:
    """Be a worker until the supervisor says that it is enough, or is gone."""
    worker = Worker(plan, Control(end))
    try:
        await worker.run()
    finally:
        worker.close()


class Worker:
    """One worker. `run` it once, then `close` it."""

    def __init__(self, plan: WorkerPlan, control: Control) -> None:
        self._plan = plan
        self._control = control
        self._links: list[Link] = []
        self._inbound: dict[int, Inbound] = {}
        self._readers: dict[int, asyncio.Task[None]] = {}
        self._network: Network | None = None
        self._started = asyncio.Event()
        self._finish = asyncio.Event()
        self._hurries = False
        self._progress = plan.acknowledged
        self._progress_is_due = False
        self._outbound = _make_outbound(plan)
        router = make_router(plan.following, self._outbound)
        chooses_itself = plan.following is None or (
            plan.following.route == "manual" and plan.following.edge.key is None
        )
        send_result = _ignore if chooses_itself else router
        self._outlet: Outlet | None = None
        if plan.stage.sink is not None:
            self._outlet = Outlet(plan, on_refused=self._bury_item, nothing_comes=self._waits_for_sink)
            send_result = self._outlet.before(send_result)
            router = self._outlet.before(_ignore if plan.following is None else router)
        process = Process(plan, self._outbound, router, self._outlet)
        self._handler = Handler(plan, process, send_result)
        self._stored = _make_stored_inbound(plan)
        self._lines = _make_lines(plan, self._outbound, self._stored)
        self._callback = self._make_callback()

    async def run(self) -> None:
        """Work until there is nothing more to do."""
        listening = asyncio.create_task(self._listen(), name="dataflow-control")
        reporting = asyncio.create_task(self._report_often(), name="dataflow-report")
        working = asyncio.create_task(self._work(), name=f"dataflow-worker-{self._plan.id}")
        keeping = [asyncio.create_task(line.keep(), name="dataflow-line") for line in self._lines]
        if self._outlet is not None:
            keeping.append(asyncio.create_task(self._outlet.keep(), name="dataflow-sink"))
        try:
            await asyncio.wait([listening, working, *keeping], return_when=asyncio.FIRST_COMPLETED)
            for task in (working, *keeping):
                if task.done():
                    task.result()
        except Exception as error:
            self._control.send(Note(NoteKind.FAILED, text=f"{type(error).__name__}: {error}"))
            await self._control.flush()
            raise
        finally:
            tasks = [listening, reporting, working, *keeping, *self._readers.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._network is not None:
                await self._network.close()
            if self._outlet is not None:
                await self._outlet.close()

    def close(self) -> None:
        """Close every way."""
        for link in [*self._links, *(one.link for one in self._inbound.values())]:
            link.close()
        self._control.close()

    def _make_callback(self) -> MessageCallback:
        stage = self._plan.stage
        if isinstance(stage, Runner):
            return MessageCallback.inspect(stage.target)
        network = stage.networks[self._plan.index]
        self._network = Network(network, self._handler)
        return MessageCallback.inspect(network.forward_from_internal or self._network.forward)

    async def _work(self) -> None:
        stage, process = self._plan.stage, self._handler.process
        for line in self._lines:
            await line.ready.wait()
        if self._outlet is not None:
            await self._outlet.open()
        address = "" if self._network is None else await self._network.open()
        startup = stage.startup if isinstance(stage, Runner) else stage.networks[self._plan.index].startup
        await _call_startup(startup, process)
        self._started.set()
        self._control.send(Note(NoteKind.READY, text=address))
        if self._stored is not None:
            self._readers[_FROM_STREAM] = asyncio.create_task(self._read_stored(self._stored), name="dataflow-stored")
        if isinstance(stage, Runner) and self._plan.level == 0 and stage.read_pipes is None:
            await self._run_source(stage.target)
        else:
            await self._finish.wait()
        if self._network is not None and self._plan.level == 0:
            await self._network.close()
        if self._stored is not None:
            await self._stored.finish(drains=self._plan.drains)
        await asyncio.gather(*self._readers.values())
        self._control.send(Note(NoteKind.SENT))
        await process.until_done()
        if self._stored is not None:
            await self._stored.settle()
        self._report()
        self._control.send(Note(NoteKind.DONE))
        await self._control.flush()

    async def _run_source(self, target: Callback) -> None:
        """Send what a source yields; end with it, or when told to finish."""
        producing = asyncio.create_task(self._produce(target), name="dataflow-source")
        finishing = asyncio.create_task(self._finish.wait())
        try:
            await asyncio.wait([producing, finishing], return_when=asyncio.FIRST_COMPLETED)
            if producing.done():
                producing.result()
        finally:
            producing.cancel()
            finishing.cancel()
            await asyncio.gather(producing, finishing, return_exceptions=True)

    async def _produce(self, target: Callback) -> None:
        ledger, process, send_result = Ledger(self._note_progress), self._handler.process, self._handler.send_result
        monotonic = current_clock().monotonic
        result = target(process)
        blocks = isinstance(result, Iterator)  # what waits in plain code has the loop for itself meanwhile
        singly = _AFTER_BLOCK if blocks else 0  # messages after each of which the loop gets its turn
        countdown, resumed_at = _TURN_MESSAGES, monotonic()

        def send(message: object) -> None:
            token = ledger.open()
            current_token.set(token)
            send_result(message)
            token.release()

        async def pause() -> None:
            nonlocal countdown, resumed_at, singly
            countdown -= 1
            if blocks and (singly or not countdown % _AFTER_BLOCK):
                now = monotonic()
                singly = _AFTER_BLOCK if now - resumed_at > _BLOCKED_SECONDS else max(0, singly - 1)
                resumed_at = now
            if singly or not countdown:
                countdown = _TURN_MESSAGES
                await asyncio.sleep(0)
                resumed_at = monotonic()
            if process.is_congested:
                await process.drain()
                resumed_at = monotonic()

        await send_all(result, send, pause)

    async def _listen(self) -> None:
        while (received := await self._control.receive()) is not None:
            note, end = received
            if note.kind in (NoteKind.FINISH, NoteKind.HURRY):
                self._hurries = True
            if note.kind == NoteKind.FINISH:
                self._finish.set()
            elif end is not None and note.kind == NoteKind.OUTBOUND:
                self._links = [one for one in self._links if one.is_open]
                self._links.append(await connect(self._outbound[note.index], end))
            elif end is not None:
                await self._open_inbound(note.index, end)

    async def _open_inbound(self, index: int, end: socket.socket) -> None:
        inbound = Inbound()
        await inbound.link.open(end)
        before = self._readers.get(index)
        self._inbound[index] = inbound
        self._readers[index] = asyncio.create_task(self._read(index, inbound, before), name=f"dataflow-from-{index}")

    async def _read(self, index: int, inbound: Inbound, before: "asyncio.Task[None] | None") -> None:
        await self._started.wait()
        if before is not None:
            await before  # what the sender's predecessor has sent comes first
        sender = f"{self._plan.level - 1}.{index}" if self._plan.level else "pipe"
        while payloads := await inbound.take():
            await self._handler.handle_many(payloads, self._callback, inbound.ledger, sender)
            await asyncio.sleep(0)

    async def _read_stored(self, inbound: NatsInbound) -> None:
        while payloads := await inbound.take():
            await self._handler.handle_many(payloads, self._callback, inbound.ledger, "stream")
            await asyncio.sleep(0)

    def _waits_for_sink(self) -> bool:
        """Whether no message comes before the sink has written what it holds: all are sent, or a sender's window is
        full.
        """
        if self._handler.is_busy:
            return False
        window = self._plan.stage.edge.max_in_flight
        full = any(one.ledger.open_count >= window for one in self._inbound.values())
        return self._hurries or full or (self._stored is not None and self._stored.is_full)

    async def _bury_item(self, item: object, error: Exception) -> None:
        await self._handler.bury(item, f"sink#{self._handler.counts['failed'] + 1:.0f}", error)

    def _note_progress(self, done_count: int) -> None:
        self._progress = self._plan.acknowledged + done_count
        if not self._progress_is_due:
            self._progress_is_due = True
            asyncio.get_running_loop().call_later(_PROGRESS_SECONDS, self._report)

    async def _report_often(self) -> None:
        while True:
            await asyncio.sleep(_REPORT_SECONDS)
            self._report()

    def _report(self) -> None:
        self._progress_is_due = False
        counts = dict(self._handler.counts)
        counts["written"] = 0 if self._outlet is None else self._outlet.written_count
        for name in _COUNTED:
            counts[name.removesuffix("_count")] = sum(getattr(one, name) for one in self._outbound)
        counts["in_flight"] = sum(one.load for one in self._outbound)
        self._control.send(Note(NoteKind.REPORT, acknowledged=self._progress, counts=counts))


def _make_outbound(plan: WorkerPlan) -> list[Outbound]:
    """Return the ways to the workers of the next stage, not yet open."""
    following = plan.following
    if following is None:
        return []
    filters = [
        following.filter if isinstance(following, Runner) else following.networks[index].filter
        for index in range(following.width)
    ]
    redelivers = plan.delivery == "at-least-once"
    return [Outbound(edge=following.edge, accepts=accepts, redelivers=redelivers) for accepts in filters]


def _make_stored_inbound(plan: WorkerPlan) -> NatsInbound | None:
    """Return what brings messages here from a NATS stream, if one carries the edge."""
    edge = plan.stage.edge
    if edge.via is None:
        return None
    return NatsInbound(receiver=plan.index, most=edge.max_in_flight, repeats=plan.delivery == "at-least-once")


def _make_lines(plan: WorkerPlan, outbound: list[Outbound], stored: NatsInbound | None) -> list[NatsLine]:
    """Return what keeps the ends of edges over NATS connected."""
    lines: list[NatsLine] = []
    if stored is not None and plan.stage.edge.via is not None:
        lines.append(NatsLine(plan.stage.edge.via, [stored]))
    if plan.following is not None and (via := plan.following.edge.via) is not None:
        senders = [NatsSender(one, via, sender=plan.index, receiver=place) for place, one in enumerate(outbound)]
        lines.append(NatsLine(via, senders))
    return lines


async def _call_startup(startup: Callback | None, process: Process) -> None:
    if startup is not None:
        started = startup(process)
        if isinstance(started, Awaitable):
            await started


def _ignore(message: object) -> None:
    """Callbacks send by themselves: what they return is not for the next stage."""
