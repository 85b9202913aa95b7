"""What `asyncio.get_event_loop()` finds in this thread, remembered and put back."""

import asyncio
from typing import Any, Self


class CurrentLoop:
    """The current loop of this thread, as it was when this was made.

    asyncio has no call that tells whether a loop was set: asking for one may make one. So this looks into its
    policy, which the Pythons that mainspring supports keep alike; another policy is left alone.
    """

    def __init__(self, local: Any) -> None:  # Any: the thread-local of a policy
        self._local = local
        self._loop: asyncio.AbstractEventLoop | None = getattr(local, "_loop", None)

    @classmethod
    def remember(cls) -> Self:
        """Return the state of now."""
        policy = asyncio.get_event_loop_policy()  # pyright: ignore[reportDeprecated]  # by a Python that is not yet ours
        return cls(getattr(policy, "_local", None))

    def put_back(self) -> None:
        """Set that loop again; if there was none, or it is closed now, asyncio makes one when it is asked."""
        if self._loop is not None and not self._loop.is_closed():
            asyncio.set_event_loop(self._loop)
        elif self._local is not None:
            asyncio.set_event_loop(None)
            self._local._set_called = False
