"""A worker's way to the sink of its stage: what callbacks give is written, and only then is their message done."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any  # Any: items are what a program makes them

from mainspring.dataflow._ledger import Token, current_token
from mainspring.dataflow._plan import WorkerPlan
from mainspring.sinks import SinkStream


class Outlet:
    """Gives items to a sink.

    Args:
        on_refused: told of an item that the sink can never write.
        nothing_comes: tells whether the worker takes nothing more before the sink has written what it holds.
    """

    def __init__(
        self,
        plan: WorkerPlan,
        *,
        on_refused: Callable[[Any, Exception], Awaitable[None]],
        nothing_comes: Callable[[], bool],
    ) -> None:
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
            nothing_comes=nothing_comes,
        )
        self.open = self._stream.open
        self.keep = self._stream.run
        self.close = self._stream.close

    @property
    def load(self) -> int:
        """Items that are not written."""
        return self._stream.waiting_count

    @property
    def written_count(self) -> int:
        """Items that are written."""
        return self._stream.written_count

    def before(self, send_on: Callable[[Any], object]) -> Callable[[Any], None]:
        """Return what gives an item to the next stage and to the sink."""

        def send(item: object) -> None:
            send_on(item)  # it may have no JSON form
            token = current_token.get()
            if token is not None:
                token.holds += 1
            self._stream.put(item, token)
            if self._stream.is_full:
                self.on_full(self)

        return send

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
