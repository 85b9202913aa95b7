"""Web: see the jobs of an app and how its program is, over HTTP.

`WebService` serves health, metrics and the read-only API, behind a token that is made at the first start.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.web._service import DEFAULT_PORT as DEFAULT_PORT
    from mainspring.web._service import WebService as WebService
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(__name__, {"_service": ("WebService",)}, house={"_service": ("DEFAULT_PORT",)})
