"""The version of the installed distribution."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str


def __getattr__(name: str) -> str:
    """Read the version when it is asked for: that reads the disk."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: str = import_module("importlib.metadata").version("mainspring")
    return found
