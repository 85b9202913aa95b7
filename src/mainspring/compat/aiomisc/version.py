"""`aiomisc.version`: that of mainspring, which stands in for aiomisc."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str
    version_info: tuple[int, ...]

__all__ = ("__version__", "version_info")


def __getattr__(name: str) -> object:
    """Read the version when it is asked for: that reads the disk."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: str = import_module("importlib.metadata").version("mainspring")
    return found if name == "__version__" else tuple(map(int, found.split(".")[:3]))
