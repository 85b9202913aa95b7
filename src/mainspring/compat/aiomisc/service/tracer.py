"""`aiomisc.service.tracer`: what the memory has grown by."""

from mainspring.services import GroupBy, MemoryTracer

__all__ = (
    "GroupBy",
    "MemoryTracer",
)
