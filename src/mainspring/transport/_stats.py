"""What a link has carried so far."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TransportStats:
    """What one end has carried so far, and what waits there now.

    Attributes:
        received_count: messages that arrived.
        received_bytes: their payloads.
        sent_count: messages that were taken for sending.
        sent_bytes: their payloads.
        unread_bytes: arrived and not read yet.
        unsent_bytes: taken and not given to the system yet.
    """

    received_count: int = 0
    received_bytes: int = 0
    sent_count: int = 0
    sent_bytes: int = 0
    unread_bytes: int = 0
    unsent_bytes: int = 0
