"""`aiomisc.service.profiler`: where the time goes."""

from mainspring.services import Profiler

__all__ = ("Profiler",)
