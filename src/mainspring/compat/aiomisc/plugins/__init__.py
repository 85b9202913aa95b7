"""`aiomisc.plugins`: the plugins that are installed, by name; `python -m` lists them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.compat.aiomisc.plugins._plugins import plugins as plugins
    from mainspring.compat.aiomisc.plugins._plugins import setup_plugins as setup_plugins
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(__name__, {"_plugins": ("plugins", "setup_plugins")})
