"""`aiomisc.service.process`: functions in processes of their own."""

from mainspring.services import ProcessService, RespawningProcessService

__all__ = (
    "ProcessService",
    "RespawningProcessService",
)
