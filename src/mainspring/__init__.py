"""mainspring: write and run asynchronous data services in Python."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.errors import MainspringError as MainspringError
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(__name__, {"mainspring.errors": ("MainspringError",)})
