"""`aiomisc.periodic`. Ours keeps its grid, whatever the calls take; aiomisc's waits after each call."""

from mainspring.concurrency import PeriodicCallback

__all__ = ("PeriodicCallback",)
