"""Leases by name in memory."""

from mainspring.errors import LeaseLostError
from mainspring.jobs.stores._memory_data import MemoryData
from mainspring.jobs.stores._steering_records import LeaseRow, TakeLease


def take_lease(data: MemoryData, command: TakeLease, now: int) -> LeaseRow:
    """Take a lease that no living node holds; return who holds it then.

    Raises:
        LeaseLostError: the epoch is dead.
    """
    node = data.nodes.get(command.epoch)
    if node is None:
        raise LeaseLostError(epoch=command.epoch)
    held = data.leases.get(command.lease)
    if held is None or held.epoch not in data.nodes:
        held = data.leases[command.lease] = LeaseRow(
            lease=command.lease,
            holder=command.holder,
            epoch=command.epoch,
            node=node.name,
            fence=data.next_fence(),
            taken_at=now,
        )
    return held


def drop_lease(data: MemoryData, lease: str, holder: str) -> None:
    """Give a lease back, if this holder has it."""
    held = data.leases.get(lease)
    if held is not None and held.holder == holder:
        del data.leases[lease]


def list_leases(data: MemoryData) -> list[LeaseRow]:
    """Return the leases that living nodes hold, by name."""
    return [data.leases[lease] for lease in sorted(data.leases) if data.leases[lease].epoch in data.nodes]
