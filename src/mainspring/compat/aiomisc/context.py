"""`aiomisc.context`."""

from mainspring.runtime import Context, ContextStatistic, get_context

__all__ = ("Context", "ContextStatistic", "get_context")
