"""`aiomisc.signal`."""

from mainspring.runtime import Signal, receiver

__all__ = ("Signal", "receiver")
