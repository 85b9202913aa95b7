"""Calls a stage's callbacks with messages, sends on what comes of them, and buries what they cannot take."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final  # Any: messages are what a program makes them

from mainspring.base import current_clock
from mainspring.dataflow._callbacks import PLAIN_TYPES, MessageCallback, send_all
from mainspring.dataflow._ledger import Ledger, current_token
from mainspring.dataflow._link import Payload
from mainspring.dataflow._plan import BuriedMessage, WorkerPlan
from mainspring.dataflow._process import Process
from mainspring.errors import MisuseError

log = logging.getLogger(__name__)

_TURN_SECONDS: Final = 0.005  # how long callbacks run before the loop gets its turn


class Handler:
    """What a worker does with a message.

    Attributes:
        counts: messages received, handled and failed, and the seconds that callbacks took.
    """

    def __init__(self, plan: WorkerPlan, process: Process, send_result: Callable[[Any], object]) -> None:
        self._plan = plan
        self.process = process
        self.send_result = send_result
        self._calls = 0
        self.counts: dict[str, float] = {"received": 0, "handled": 0, "failed": 0, "seconds": 0.0}

    @property
    def is_busy(self) -> bool:
        """Whether messages are being handled."""
        return self._calls > 0

    async def handle_many(
        self, payloads: list[Payload], callback: MessageCallback, ledger: Ledger, sender: str
    ) -> None:
        """Handle what has arrived from one sender, one message after the other."""
        self._calls += 1
        try:
            await self._handle_many(payloads, callback, ledger, sender)
        finally:
            self._calls -= 1

    async def _handle_many(
        self, payloads: list[Payload], callback: MessageCallback, ledger: Ledger, sender: str
    ) -> None:
        process, counts, send = self.process, self.counts, self.send_result
        clock = current_clock().monotonic
        counts["received"] += len(payloads)
        turn_began = began = clock()
        for payload in payloads:
            token = ledger.open()
            current_token.set(token)
            message: Any = payload
            try:
                message = callback.decode(payload)
                result = callback.call(process, message)
                if type(result) in PLAIN_TYPES:
                    send(result)
                elif result is not None:
                    await send_all(result, send, process.drain)
            except asyncio.CancelledError as error:
                await self.bury(message, f"{sender}#{ledger.done_count + ledger.open_count}", _strange(error))
            except Exception as error:  # noqa: BLE001  # supervisor: one bad message must not end the worker
                await self.bury(message, f"{sender}#{ledger.done_count + ledger.open_count}", error)
            token.release()
            ended = clock()
            counts["seconds"] += ended - began
            counts["handled"] += 1
            if process.is_congested:
                await process.drain()
                turn_began = ended = clock()
            elif ended - turn_began > _TURN_SECONDS:
                await asyncio.sleep(0)
                turn_began = ended = clock()
            began = ended

    async def handle_client(self, callback: Callable[..., Any], *arguments: Any) -> None:
        """Call a network's callback with a client's message; then wait until there is room for the next."""
        self._calls += 1
        try:
            await self._handle_client(callback, *arguments)
        finally:
            self._calls -= 1
        await self.process.drain()

    async def _handle_client(self, callback: Callable[..., Any], *arguments: Any) -> None:
        clock = current_clock().monotonic
        began = clock()
        self.counts["received"] += 1
        try:
            result = callback(self.process, *arguments)
            if result is not None:
                await send_all(result, self.send_result, self.process.drain)
        except asyncio.CancelledError as error:
            await self.bury(arguments[0], f"client#{self.counts['received']:.0f}", _strange(error))
        except Exception as error:  # noqa: BLE001  # supervisor: one bad message must not end the worker
            await self.bury(arguments[0], f"client#{self.counts['received']:.0f}", error)
        self.counts["seconds"] += clock() - began
        self.counts["handled"] += 1

    async def bury(self, message: Any, message_id: str, error: Exception) -> None:
        """Log a message that could not be taken, and give it to the hook."""
        plan = self._plan
        self.counts["failed"] += 1
        label = plan.stage.label
        log.error("%s: worker %s (%s) failed on message %s", plan.flow, plan.id, label, message_id, exc_info=error)
        if plan.dead_letter is None:
            return
        try:
            kept = plan.dead_letter(BuriedMessage(label, plan.id, message_id, message, error))
            if isinstance(kept, Awaitable):
                await kept
        except asyncio.CancelledError as cut:
            log.error("%s: the dead-letter hook failed on message %s: %s", plan.flow, message_id, _strange(cut))
        except Exception:  # supervisor: the hook must not end the worker
            log.exception("%s: the dead-letter hook failed on message %s", plan.flow, message_id)


def _strange(error: asyncio.CancelledError) -> Exception:
    """Return what to call the cancellation of something that a callback waited for; one of this task goes on."""
    task = asyncio.current_task()
    if task is None or task.cancelling():
        raise error
    strange = MisuseError(what="the callback", problem="let a CancelledError out", hint="what it awaited was cancelled")
    strange.__cause__ = error
    return strange
