"""Nodes in memory: epochs that die with their store or their lease, and what they leave behind."""

from msgspec import structs

from mainspring.jobs.stores._ends import Change, rescued
from mainspring.jobs.stores._memory_data import LiveNode, LiveRun, MemoryData
from mainspring.jobs.stores._memory_ends import let_go_of_dead, settle
from mainspring.jobs.stores._records import HeartbeatAnswer, RunRecord


def open_node(data: MemoryData, node: LiveNode) -> int:
    """Register a node; return its epoch."""
    data.last_epoch += 1
    data.nodes[data.last_epoch] = node
    return data.last_epoch


def close_node(data: MemoryData, epoch: int, now: int) -> None:
    """End an epoch in good order: what it held is free, and no rescue is counted."""
    data.nodes.pop(epoch, None)
    let_go_of_dead(data, now)
    _free_orphans(data, now, max_rescues=None)


def heartbeat(data: MemoryData, epoch: int, expires_at: float, now: int) -> HeartbeatAnswer:
    """Renew a lease and tell what others asked for."""
    node = data.nodes.get(epoch)
    if node is not None:
        data.nodes[epoch] = node._replace(expires_at=expires_at)
    cancelled = tuple(sorted(data.cancel_requested.get(epoch, ())))
    return HeartbeatAnswer(alive=node is not None, cancelled=cancelled, version=data.version, now=now)


def rescue(data: MemoryData, max_rescues: int, *, monotonic: int, now: int) -> list[RunRecord]:
    """End dead epochs and free their runs."""
    for epoch, node in list(data.nodes.items()):
        if node.expires_at < monotonic or node.owner not in data.owners:
            del data.nodes[epoch]
    let_go_of_dead(data, now)
    return _free_orphans(data, now, max_rescues=max_rescues)


def _free_orphans(data: MemoryData, now: int, *, max_rescues: int | None) -> list[RunRecord]:
    dead = [epoch for epoch in data.held if epoch not in data.nodes]
    runs = [data.live[run_id] for epoch in sorted(dead) for run_id in sorted(data.held[epoch])]
    changes = [_rescued(run, max_rescues, now) for run in runs]  # while their records still name their epochs
    for run in runs:
        # a late finish of the dead node must not find its epoch in the record and take it for its own
        data.change(run, structs.replace(run.record, epoch=None), run.place)
    return settle(data, changes, now)


def _rescued(run: LiveRun, max_rescues: int | None, now: int) -> Change[LiveRun]:
    record = run.record
    return rescued(
        run,
        attempt=record.attempt,
        rescues=record.rescues,
        epoch=record.epoch,
        cancel_requested=record.cancel_requested,
        trouble=(record.error_type, record.error_message, record.error_detail),
        max_rescues=max_rescues,
        now=now,
    )
