"""`aiomisc.service`: ready classes of services."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.runtime import Service as Service
    from mainspring.runtime import ServiceMeta as ServiceMeta
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(__name__, {"mainspring.runtime": ("Service", "ServiceMeta")})
