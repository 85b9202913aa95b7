"""Runtime: start, run and stop a program. Services, signals, resources, context, logging, the event loop."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.runtime._container import ResourceBinding as ResourceBinding
    from mainspring.runtime._container import ResourceContainer as ResourceContainer
    from mainspring.runtime._resource import Provider as Provider
    from mainspring.runtime._resource import Resource as Resource
    from mainspring.runtime._resource import resource as resource
    from mainspring.runtime._service import Service as Service
    from mainspring.runtime._service import ServiceMeta as ServiceMeta
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "_container": ("ResourceBinding", "ResourceContainer"),
            "_resource": ("Provider", "Resource", "resource"),
            "_service": ("Service", "ServiceMeta"),
        },
    )
