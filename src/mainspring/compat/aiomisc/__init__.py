"""`aiomisc`, over mainspring: the same names and calls. What differs is listed in the manual, under Migration.

Submodules that share their name with an object are loaded here, before the object takes the name.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.base import Statistic as Statistic
    from mainspring.base import get_statistics as get_statistics
    from mainspring.compat.aiomisc import io as io
    from mainspring.compat.aiomisc import log as log
    from mainspring.compat.aiomisc import plugins as plugins
    from mainspring.compat.aiomisc import service as service
    from mainspring.compat.aiomisc import version as version
    from mainspring.compat.aiomisc.backoff import asyncbackoff as asyncbackoff
    from mainspring.compat.aiomisc.backoff import asyncretry as asyncretry
    from mainspring.compat.aiomisc.circuit_breaker import CircuitBreaker as CircuitBreaker
    from mainspring.compat.aiomisc.circuit_breaker import CircuitBroken as CircuitBroken
    from mainspring.compat.aiomisc.circuit_breaker import cutout as cutout
    from mainspring.compat.aiomisc.entrypoint import Entrypoint as Entrypoint
    from mainspring.compat.aiomisc.entrypoint import entrypoint as entrypoint
    from mainspring.compat.aiomisc.entrypoint import run as run
    from mainspring.compat.aiomisc.log import basic_config as basic_config
    from mainspring.compat.aiomisc.pool import PoolBase as PoolBase
    from mainspring.compat.aiomisc.timeout import timeout as timeout
    from mainspring.compat.aiomisc.utils import new_event_loop as new_event_loop
    from mainspring.runtime import Context as Context
    from mainspring.runtime import Service as Service
    from mainspring.runtime import Signal as Signal
    from mainspring.runtime import get_context as get_context
    from mainspring.runtime import receiver as receiver
else:
    from mainspring.base import door
    from mainspring.compat.aiomisc import io as io
    from mainspring.compat.aiomisc import log as log
    from mainspring.compat.aiomisc import plugins as plugins
    from mainspring.compat.aiomisc import service as service
    from mainspring.compat.aiomisc import version as version
    from mainspring.compat.aiomisc.entrypoint import entrypoint as entrypoint
    from mainspring.compat.aiomisc.timeout import timeout as timeout

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "backoff": ("asyncbackoff", "asyncretry"),
            "circuit_breaker": ("CircuitBreaker", "CircuitBroken", "cutout"),
            "entrypoint": ("Entrypoint", "entrypoint", "run"),
            "log": ("basic_config",),
            "mainspring.compat.aiomisc": ("io", "log", "plugins", "service", "version"),
            "mainspring.base": ("Statistic", "get_statistics"),
            "mainspring.runtime": ("Context", "Service", "Signal", "get_context", "receiver"),
            "pool": ("PoolBase",),
            "timeout": ("timeout",),
            "utils": ("new_event_loop",),
        },
    )
