"""The supervisor of a running topology: starts workers, connects them, restarts those that die, ends them in order.

No message passes through it (those of `read_pipes` aside). Each worker has a line to it, over which it gets the
ends of its ways to others; a way is a socket pair whose ends the supervisor has given away and closed. When a
worker dies, the next one in its place gets new ways, and its senders send again what was not acknowledged. An edge
that a NATS stream carries has no ways: its workers talk to the server.
"""

import asyncio
import logging
import socket

from mainspring.base import current_clock
from mainspring.dataflow._control import Control, Note, NoteKind, control_pair
from mainspring.dataflow._feeder import Feeder
from mainspring.dataflow._launch import Child, launch_inline, launch_process
from mainspring.dataflow._nats_line import check_stream
from mainspring.dataflow._plan import WorkerPlan
from mainspring.dataflow._seat import Flow, Seat, join
from mainspring.dataflow._statistics import FlowCounts
from mainspring.dataflow._topology import Runner
from mainspring.errors import ConnectionClosedError, FrameTooLargeError, StageFailedError
from mainspring.resilience import timeout as time_limit

log = logging.getLogger(__name__)


class Supervisor:
    """Runs one flow, once."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._levels = [[Seat(level, index) for index in places] for level, places in enumerate(flow.part.places)]
        self._feeders: dict[int, Feeder] = {}
        self._feeding: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._life: asyncio.Task[None] | None = None
        self._broken_pipe: Exception | None = None
        self._hurries = False
        self.counts = FlowCounts(flow.title, flow.topology)

    @property
    def seats(self) -> list[Seat]:
        """Every place, first stage first."""
        return [seat for level in self._levels for seat in level]

    async def start(self) -> None:
        """Start every worker, the last stage first; wait until all are ready.

        Raises:
            EdgeUnavailableError: the server of an edge cannot be used; nothing was started.
            StageFailedError: a worker cannot start; all are ended.
        """
        for level in self._flow.part.edges:
            stage = self._flow.topology.stages[level]
            if stage.edge.via is not None:
                await check_stream(stage.edge.via, width=stage.width)
        self._make_feeders()
        for seat in reversed(self.seats):
            seat.task = asyncio.create_task(self._keep(seat), name=f"dataflow-keep-{seat.id}")
        self._life = asyncio.create_task(self._live(), name="dataflow-life")
        ready = asyncio.create_task(self._until_ready())
        try:
            await asyncio.wait([ready, self._life], return_when=asyncio.FIRST_COMPLETED)
            if self._life.done():
                self._life.result()
        finally:
            ready.cancel()

    @property
    def is_over(self) -> bool:
        """Whether every worker has ended."""
        return self._life is not None and self._life.done()

    async def wait(self) -> None:
        """Wait until every source has ended and every message is done.

        Raises:
            StageFailedError: a worker died again and again.
            ConnectionClosedError: a pipe ended inside a message; everything else is done.
            FrameTooLargeError: a message of a pipe was too long, which ended the pipe; everything else is done.
        """
        if self._life is not None:
            await asyncio.shield(self._life)

    async def stop(self, *, timeout: float) -> None:
        """Stop the sources, let everything that is on its way be done, end; kill what is left after `timeout` s."""
        life = self._life
        if life is None:
            return
        self._stopping.set()
        for level in self._flow.part.entries:
            for seat in self._levels[level]:
                if level or seat.index not in self._feeders:
                    self._tell_to_finish(seat)
        try:
            async with time_limit(timeout):
                await asyncio.shield(life)
        except TimeoutError:
            left = [seat.id for seat in self.seats if not seat.is_done]
            if left:  # the last one may have ended in this moment
                log.error("%s: did not end within %g s; killed: %s", self._flow.title, timeout, ", ".join(left))
        finally:
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)

    async def _until_ready(self) -> None:
        for seat in self.seats:
            await seat.ready.wait()

    async def _live(self) -> None:
        """End stage after stage, each when nothing can come to it any more."""
        try:
            for level, seats in enumerate(self._levels):
                if level not in self._flow.part.entries:
                    for seat in seats:
                        self._tell_to_finish(seat)
                await self._until_ended(seats)
        finally:
            await self._end_all()
        if self._broken_pipe is not None:
            raise self._broken_pipe

    async def _until_ended(self, seats: list[Seat]) -> None:
        """Wait for these workers; give up when any worker of the flow has failed for good."""
        wanted = {seat.task for seat in seats if seat.task is not None}
        tasks = {seat.task for seat in self.seats if seat.task is not None} | set(self._feeding)
        while wanted:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                if not task.cancelled():
                    task.result()
            tasks -= ended
            wanted -= ended

    async def _end_all(self) -> None:
        tasks = [*self._feeding, *(seat.task for seat in self.seats if seat.task is not None)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for feeder in self._feeders.values():
            feeder.close()

    def _make_feeders(self) -> None:
        first = self._flow.topology.stages[0]
        if not isinstance(first, Runner) or first.read_pipes is None:
            return
        redelivers = self._flow.delivery == "at-least-once"
        for seat in self._levels[0]:
            fd = first.read_pipes[seat.index]
            self._feeders[seat.index] = Feeder(fd, edge=first.edge, redelivers=redelivers)
            self._feeding.append(asyncio.create_task(self._feed(seat), name=f"dataflow-pipe-{seat.index}"))

    async def _feed(self, seat: Seat) -> None:
        """Feed a worker from its pipe until that ends, or the dataflow stops; then let it finish."""
        feeder = self._feeders[seat.index]
        feeding = asyncio.create_task(feeder.feed(), name=f"dataflow-feed-{seat.id}")
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([feeding, stopping], return_when=asyncio.FIRST_COMPLETED)
            if feeding.done():
                self._note_end_of_pipe(seat, feeding)
        finally:
            feeding.cancel()
            stopping.cancel()
            await asyncio.gather(feeding, stopping, return_exceptions=True)
        self._note_sent(seat)
        await feeder.finish()
        self._tell_to_finish(seat)

    def _note_end_of_pipe(self, seat: Seat, feeding: "asyncio.Task[None]") -> None:
        """Keep why a pipe ended if not well: a writer that died takes nobody else's messages along."""
        try:
            feeding.result()
        except (ConnectionClosedError, FrameTooLargeError) as error:
            log.error("%s: the pipe of worker %s is read no more: %s", self._flow.title, seat.id, error)
            self._broken_pipe = self._broken_pipe or error

    def _note_sent(self, seat: Seat) -> None:
        """Note that a worker sends no more; sinks hurry when no source does, since all waits for what they hold."""
        seat.has_sent = True
        sources = [one for level in self._flow.part.entries for one in self._levels[level]]
        if not self._hurries and all(one.has_sent for one in sources):
            self._hurries = True
            for one in self.seats:
                if one.control is not None:
                    one.control.send(Note(NoteKind.HURRY))

    def _tell_to_finish(self, seat: Seat) -> None:
        seat.must_finish = True
        if seat.control is not None:
            seat.control.send(Note(NoteKind.FINISH))

    async def _keep(self, seat: Seat) -> None:
        """Keep a worker in its place until it is done.

        Raises:
            StageFailedError: it died again and again.
        """
        clock, restart = current_clock(), self._flow.restart
        delays, tries = restart.delays(), 0
        while True:
            began = clock.monotonic()
            exit_code = await self._run_once(seat)
            if seat.is_done:
                return
            if clock.monotonic() - began >= self._flow.healthy_after:
                delays, tries = restart.delays(), 0
            tries += 1
            delay = next(delays, None)
            stage = self._flow.topology.stages[seat.level].label
            if delay is None:
                raise StageFailedError(
                    flow=self._flow.title,
                    stage=stage,
                    worker=seat.id,
                    exit_code=exit_code,
                    tries=tries,
                    reason=seat.reason,
                )
            log.warning(
                "%s: worker %s (%s) has died, exit code %s%s; the next one starts in %.2f s",
                self._flow.title,
                seat.id,
                stage,
                exit_code,
                seat.reason and f" ({seat.reason})",
                delay,
            )
            await asyncio.sleep(delay)
            seat.restart_count += 1
            self.counts.restarted(seat.level)

    async def _run_once(self, seat: Seat) -> int | None:
        """Start a worker, connect it, wait for its end; return its exit code."""
        ours, theirs = control_pair()
        control = Control(ours)
        seat.reason = ""
        try:
            with theirs:
                child = seat.child = await self._launch(seat, theirs, [ours.fileno()])
        except BaseException:
            control.close()
            raise
        seat.control = control
        hearing = asyncio.create_task(self._hear(seat, control), name=f"dataflow-hear-{seat.id}")
        try:
            await self._connect(seat)
            if self._hurries:
                control.send(Note(NoteKind.HURRY))
            if seat.must_finish:
                control.send(Note(NoteKind.FINISH))
            return await child.wait()
        finally:
            seat.control = None
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
            while (received := control.receive_nowait()) is not None:
                self._take(seat, received[0])
            control.close()
            self.counts.ended(seat.id)
            child.kill()  # it has ended, unless this task was cancelled
            await child.wait()

    async def _launch(self, seat: Seat, end: socket.socket, strangers: list[int]) -> Child:
        stages = self._flow.topology.stages
        plan = WorkerPlan(
            flow=self._flow.title,
            stage=stages[seat.level],
            level=seat.level,
            index=seat.index,
            following=None if self._flow.topology.is_last(seat.level) else stages[seat.level + 1],
            delivery=self._flow.delivery,
            dead_letter=self._flow.dead_letter,
            acknowledged=seat.acknowledged,
            restart_count=seat.restart_count,
            drains=seat.level not in self._flow.part.entries,
        )
        if self._flow.mode == "inline":
            return await launch_inline(plan, end)
        for other in self.seats:
            if other.control is not None:
                strangers += other.control.descriptors
            if other.child is not None:
                strangers += other.child.descriptors
        for feeder in self._feeders.values():
            strangers += feeder.descriptors
        return await launch_process(plan, end, strangers=strangers, start_method=self._flow.start_method)

    async def _connect(self, seat: Seat) -> None:
        """Make the ways between a new worker and the workers before and after it that are there.

        Those between workers come first, before anything is waited for: another one may come meanwhile, and would
        make a second way, whose messages wait for the end of the first.
        """
        stages = self._flow.topology.stages
        if seat.level and stages[seat.level].edge.via is None:
            for sender in self._levels[seat.level - 1]:
                join(sender, seat)
        if not self._flow.topology.is_last(seat.level) and stages[seat.level + 1].edge.via is None:
            for receiver in self._levels[seat.level + 1]:
                join(seat, receiver)
        if seat.level == 0 and (feeder := self._feeders.get(seat.index)) is not None and seat.control is not None:
            ours, theirs = socket.socketpair()
            seat.control.send(Note(NoteKind.INBOUND, index=0), theirs)
            await feeder.attach(ours)

    async def _hear(self, seat: Seat, control: Control) -> None:
        while (received := await control.receive()) is not None:
            self._take(seat, received[0])

    def _take(self, seat: Seat, note: Note) -> None:
        if note.kind == NoteKind.READY:
            seat.address = note.text
            seat.ready.set()
        elif note.kind == NoteKind.REPORT:
            seat.acknowledged = note.acknowledged
            self.counts.report(seat.level, seat.id, note.counts)
        elif note.kind == NoteKind.SENT:
            self._note_sent(seat)
        elif note.kind == NoteKind.DONE:
            seat.is_done = True
            seat.ready.set()
        elif note.kind == NoteKind.FAILED:
            seat.reason = note.text
