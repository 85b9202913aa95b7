"""Optional dependencies: imported where they are first needed, missed with a clear sentence."""

from importlib import import_module
from types import ModuleType

from mainspring.errors import MissingExtraError


def load_extra(module: str, *, feature: str, extra: str) -> ModuleType:
    """Import and return `module`, an optional dependency.

    Args:
        module: its full name, as `redis.asyncio`.
        feature: what needs it, in the user's words: the subject of the error's sentence.
        extra: the extra of mainspring that brings it.

    Raises:
        MissingExtraError: it is not installed. A module that is installed but misses something itself
            raises its own ImportError.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        if module != missing and not module.startswith(f"{missing}."):
            raise
        raise MissingExtraError(feature=feature, module=missing, extra=extra) from error
