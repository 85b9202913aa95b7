"""`aiomisc.service.periodic`. Ours keeps its grid; `fixed_delay=True` waits after each call."""

from mainspring.services import PeriodicService

__all__ = ("PeriodicService",)
