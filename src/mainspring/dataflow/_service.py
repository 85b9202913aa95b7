"""`DataflowService`: a dataflow beside other services of a program."""

from typing import Any  # Any: why a program stops

from mainspring.dataflow._dataflow import Dataflow
from mainspring.runtime import Service


class DataflowService(Service):
    """Runs a dataflow while the program runs; when the program stops, what is on its way is done first.

    The service is ready when every worker is. It ends when every source has ended. It fails when a worker dies
    again and again, and does not start a second time: the dataflow restarts its workers itself.

    Args:
        flow: the dataflow, not started.
    """

    __required__ = ("flow",)

    flow: Dataflow

    async def start(self) -> None:
        """Start every worker; wait until every source has ended."""
        async with self.flow:
            self.start_event.set()
            await self.flow.wait()

    async def stop(self, exception: Any = None) -> None:
        """Stop the sources, let everything on its way be done, end every worker."""
        await self.flow.stop()
