"""Sinks: typed batches to their destination."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.sinks._transaction import SinkRun as SinkRun
    from mainspring.sinks._transaction import SqlTransaction as SqlTransaction
    from mainspring.sinks._transaction import StageArea as StageArea
    from mainspring.sinks._transaction import TransactionalWrite as TransactionalWrite
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__, {"_transaction": ("SinkRun", "SqlTransaction", "StageArea", "TransactionalWrite")}
    )
