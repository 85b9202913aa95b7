"""Testing: what mainspring's own tests use and users may too.

The pytest plugin (`-p mainspring.testing.plugin`) runs async tests and fixtures and looks for leaks; `run_job` runs
one handler of a job; `VirtualClock` simulates time; `eventually` and `TestSignal` wait without sleeping; `FailNth` and
the limits make things fail; `PythonChild` is a program to crash, `TCPProxy` a bad network, `ValkeyServer`,
`NatsServer` and `ClickHouseServer` real servers to lean on, `NotifyGateway` one to notify.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.jobs import EmittedItem as EmittedItem
    from mainspring.jobs import HandlerResult as HandlerResult
    from mainspring.testing._children import PythonChild as PythonChild
    from mainspring.testing._clickhouse import ClickHouseServer as ClickHouseServer
    from mainspring.testing._eventually import eventually as eventually
    from mainspring.testing._faults import FailNth as FailNth
    from mainspring.testing._limits import limit_descriptors as limit_descriptors
    from mainspring.testing._limits import limit_file_size as limit_file_size
    from mainspring.testing._nats import NatsServer as NatsServer
    from mainspring.testing._run_job import run_job as run_job
    from mainspring.testing._signals import TestSignal as TestSignal
    from mainspring.testing._tcp_proxy import TCPProxy as TCPProxy
    from mainspring.testing._valkey import ValkeyServer as ValkeyServer
    from mainspring.testing._virtual_clock import VirtualClock as VirtualClock
    from mainspring.testing.notify_gateway import NotifyGateway as NotifyGateway
    from mainspring.testing.notify_gateway import SentNotification as SentNotification
    from mainspring.testing.plugin import TEST_WRAPPER as TEST_WRAPPER
    from mainspring.testing.plugin import loop_of as loop_of
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "_children": ("PythonChild",),
            "_clickhouse": ("ClickHouseServer",),
            "_eventually": ("eventually",),
            "_faults": ("FailNth",),
            "_limits": ("limit_descriptors", "limit_file_size"),
            "_nats": ("NatsServer",),
            "_run_job": ("run_job",),
            "_signals": ("TestSignal",),
            "_tcp_proxy": ("TCPProxy",),
            "_valkey": ("ValkeyServer",),
            "_virtual_clock": ("VirtualClock",),
            "mainspring.jobs": ("EmittedItem", "HandlerResult"),
            "notify_gateway": ("NotifyGateway", "SentNotification"),
        },
        house={"plugin": ("TEST_WRAPPER", "loop_of")},
    )
