"""Every exception and control signal of mainspring, one file per floor.

The tree (each class also inherits the standard class in brackets)::

    MainspringError
    ├── InvalidArgumentError [ValueError]      an argument is outside what the callee accepts
    ├── ClosedError [RuntimeError]             the object was closed
    └── MissingExtraError [ImportError]        an optional dependency is not installed
"""

from mainspring.errors._base import ClosedError as ClosedError
from mainspring.errors._base import InvalidArgumentError as InvalidArgumentError
from mainspring.errors._base import MissingExtraError as MissingExtraError
from mainspring.errors._root import MainspringError as MainspringError

__all__ = ["ClosedError", "InvalidArgumentError", "MainspringError", "MissingExtraError"]
