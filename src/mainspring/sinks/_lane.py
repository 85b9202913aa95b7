"""One sink with all that belongs to it: its writer, one call at a time, its terms and its batcher."""

import asyncio
from collections.abc import Callable, Sequence

from mainspring.errors import MisuseError
from mainspring.sinks._batcher import Batcher
from mainspring.sinks._delivery import Delivery
from mainspring.sinks._packing import weigh
from mainspring.sinks._sink import ResultSink, check_sink, is_write
from mainspring.sinks._tickets import Entry, Rescue


class Lane:
    """The way to one sink that takes batches.

    Args:
        name: what records on disk call it: the same after a restart.
        rescue: keeps what the sink did not take, if its delivery says "spool".
        weigh: returns about how many bytes an item takes; raises for one that could not be kept.
    """

    def __init__(
        self,
        sink: object,
        *,
        name: str,
        label: str,
        delivery: Delivery,
        rescue: Rescue | None,
        weigh: Callable[[object], int] = weigh,
    ) -> None:
        self.name = name
        self.label = label
        self.delivery = delivery
        self._sink = sink
        self._one_at_a_time = asyncio.Lock()  # the batcher and the spool write to the same sink
        self.batcher = Batcher(self.write, label=label, delivery=delivery, rescue=rescue, weigh=weigh)

    async def write(self, entries: Sequence[Entry]) -> None:
        """Have the sink write a batch; raises what it raises."""
        statistic = self.batcher.statistic
        async with self._one_at_a_time:
            try:
                if isinstance(self._sink, ResultSink):
                    await self._sink.write_batch([entry.intent() for entry in entries])
                elif is_write(self._sink):
                    await self._sink([entry.item for entry in entries])
            except asyncio.CancelledError as error:
                statistic.failures += 1
                _raise_if_cancelled(error)
                raise MisuseError(
                    what=f"the sink {self.label}",
                    problem="let a CancelledError out",
                    hint="what it awaited was cancelled",
                ) from error
            except BaseException:
                statistic.failures += 1
                raise
        statistic.batches += 1
        statistic.written += len(entries)


def _raise_if_cancelled(error: asyncio.CancelledError) -> None:
    """Raise the cancellation of this task; that of something that the task awaited is no end of it."""
    task = asyncio.current_task()
    if task is None or task.cancelling():
        raise error


def delivery_of(sink: object, given: Delivery | None) -> Delivery:
    """Return the terms for a sink: those given, its own attribute `delivery`, or the default.

    Raises:
        InvalidArgumentError: the object is no sink.
    """
    check_sink(sink)
    own = getattr(sink, "delivery", None)
    return given or (own if isinstance(own, Delivery) else Delivery())
