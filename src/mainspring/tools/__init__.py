"""Tools: everyday helpers that stand alone.

Settings from files and environment, credentials, notifications, AWS signatures, exact rounding of prices,
tables in logs, timing, command dispatch.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.tools._config_layers import Config as Config
    from mainspring.tools._config_loader import ConfigLoader as ConfigLoader
    from mainspring.tools._config_loader import ConfigOrigin as ConfigOrigin
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "_config_layers": ("Config",),
            "_config_loader": ("ConfigLoader", "ConfigOrigin"),
        },
    )
