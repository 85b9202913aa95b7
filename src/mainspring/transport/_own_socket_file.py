"""The file of a Unix socket that this process has bound, and removes only while it is still that one."""

import os
from contextlib import suppress


class OwnSocketFile:
    """The file at `path`, as it is now. Make it right after the bind, and remove it before the socket is closed.

    Until then a successor sees that somebody listens, and takes no place; and the kernel gives the number of the
    file to no other. Afterwards the file may be a successor's.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._identity = _identity_of(path)

    def __repr__(self) -> str:
        return f"<OwnSocketFile {os.fspath(self._path)}>"

    def remove(self) -> None:
        """Remove the file, unless it is gone, another's, or not ours to remove: a server ends all the same."""
        identity, self._identity = self._identity, None  # once the socket is closed, a successor's may have its number
        if identity is not None and identity == _identity_of(self._path):
            with suppress(OSError):
                os.unlink(self._path)


def _identity_of(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:  # gone, or in a folder that we may not look into any more
        return None
    return status.st_dev, status.st_ino
