"""The loops of an open app: each does its step for ever, and no trouble of the store or of a step ends it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from mainspring.errors import StorageError
from mainspring.resilience import timeout

log = logging.getLogger(__name__)

TROUBLE_PAUSE: Final = 0.5  # seconds before a store that failed is asked again


async def keep_doing(step: Callable[[], Awaitable[float]], wake: asyncio.Event, *, what: str) -> None:
    """Call `step` for ever: again when `wake` is set, or after as many seconds as it returned.

    A wake that comes while the step runs is not lost. Ends by cancellation only.

    Args:
        what: completes "cannot ..." in the log.
    """
    while True:
        wake.clear()
        try:
            pause = await step()
        except StorageError as error:
            log.warning("cannot %s: %s", what, error)
            pause = TROUBLE_PAUSE
        except Exception:  # supervisor: a loop that ended here would leave the app open and deaf
            log.exception("cannot %s", what)
            pause = TROUBLE_PAUSE
        if pause > 0:
            await _sleep(pause, wake)


async def _sleep(seconds: float, wake: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with timeout(seconds):
            await wake.wait()
