"""A worker's way to the sink of its stage: what callbacks give is written, and only then is their message done."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any  # Any: items are what a program makes them

from mainspring.dataflow._ledger import Token, current_token
from mainspring.dataflow._plan import WorkerPlan
from mainspring.sinks import SinkStream


class Outlet:
    """Gives items to a sink, and to the next stage as well.

    Args:
        send_on: sends an item to the next stage.
        on_refused: told of an item that the sink can never write.
    """

    def __init__(
        self,
        plan: WorkerPlan,
        send_on: Callable[[Any], object],
        on_refused: Callable[[Any, Exception], Awaitable[None]],
    ) -> None:
        self._send_on = send_on
        self._on_refused = on_refused
        self.on_full: Callable[[Outlet], object] = _nobody
        self.on_room: Callable[[Outlet], object] = _nobody
        self._stream: SinkStream[Token | None] = SinkStream(
            plan.stage.sink,
            owner=f"{plan.flow} {plan.id}",
            delivery=plan.stage.sink_delivery,
            on_done=_release,
            on_refused=self._refuse,
            on_room=self._note_room,
        )
        self.open = self._stream.open
        self.keep = self._stream.run
        self.hurry = self._stream.hurry
        self.close = self._stream.close

    @property
    def load(self) -> int:
        """Items that are not written."""
        return self._stream.waiting_count

    @property
    def written_count(self) -> int:
        """Items that are written."""
        return self._stream.written_count

    def send(self, item: object) -> None:
        """Take an item for the sink, and send it to the next stage.

        Raises:
            InvalidItemError: the sink can never write it; nobody got it.
            UnroutedItemError: likewise.
            EncodeError: it has no JSON form, and there is a next stage; nobody got it.
        """
        stream = self._stream
        stream.check(item)
        self._send_on(item)
        token = current_token.get()
        if token is not None:
            token.holds += 1
        stream.put(item, token)
        if stream.is_full:
            self.on_full(self)

    def _note_room(self) -> None:
        if not self._stream.is_full:
            self.on_room(self)

    async def _refuse(self, item: Any, token: Token | None, error: Exception) -> None:
        await self._on_refused(item, error)


def _release(tokens: Sequence[Token | None]) -> None:
    for token in tokens:
        if token is not None:
            token.release()


def _nobody(outlet: Outlet) -> None:
    pass
