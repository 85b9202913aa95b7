"""The token that opens the API: made at the first start, kept where only its owner can read it.

Any local user, and by DNS rebinding any web page, reaches a loopback address; so there is a token there, too. A browser
gets a cookie for it, by a link that is printed at the start; the cookie is made from the token and does not tell it.
"""

import hmac
import os
import secrets
import stat
from hashlib import sha256
from pathlib import Path
from typing import Final

from mainspring.base import make_private_folder
from mainspring.errors import InvalidArgumentError, UnsafeFileError

VARIABLE: Final = "MAINSPRING_WEB_TOKEN"
FILE: Final = "web-token"
_BYTES: Final = 32  # of randomness
_SHORTEST: Final = 16  # characters of a token that somebody else chose


class WebToken:
    """A secret, and the ways to show that one knows it; compared in constant time.

    Raises:
        InvalidArgumentError: it is shorter than 16 characters or not plain ASCII.
    """

    __slots__ = ("_secret",)

    def __init__(self, secret: str) -> None:
        if len(secret) < _SHORTEST or not secret.isascii() or not secret.isprintable() or " " in secret:
            expected = f"at least {_SHORTEST} printable ASCII characters without blanks"
            raise InvalidArgumentError(
                argument="token", value="***", expected=expected, hint="remove it to have one made"
            )
        self._secret = secret

    @property
    def secret(self) -> str:
        """The token itself."""
        return self._secret

    @property
    def cookie(self) -> str:
        """What a browser keeps."""
        return hmac.new(self._secret.encode(), b"mainspring web cookie", sha256).hexdigest()

    def opens(self, given: str) -> bool:
        """Tell whether this is the token."""
        return hmac.compare_digest(given.encode(), self._secret.encode())

    def opens_by_cookie(self, given: str) -> bool:
        """Tell whether this is the token's cookie."""
        return hmac.compare_digest(given.encode(), self.cookie.encode())

    def __repr__(self) -> str:
        return "<WebToken ***>"


def load_token(folder: Path) -> WebToken:
    """Return the token of `MAINSPRING_WEB_TOKEN`, else the one in a folder, made when there is none.

    Raises:
        InvalidArgumentError: the token is too short, or the folder cannot be used.
        UnsafeFileError: others may read the file.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return WebToken(given)
    try:
        return WebToken(_kept(folder))
    except UnsafeFileError:
        raise
    except OSError as error:
        expected = f"a directory for the file {FILE} ({error.strerror})"
        hint = f"choose another state directory, or give the token in {VARIABLE}"
        raise InvalidArgumentError(argument="state_dir", value=str(folder), expected=expected, hint=hint) from error


def _kept(folder: Path) -> str:
    path = folder / FILE
    try:
        return _read(path)
    except FileNotFoundError:
        make_private_folder(folder)
        _make(path)
        return _read(path)


def _make(path: Path) -> None:
    """Make the file in one step, so that of several processes that start at once one decides."""
    draft = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, secrets.token_urlsafe(_BYTES).encode())
        os.fsync(descriptor)
        os.close(descriptor)
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()


def _read(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(descriptor, encoding="utf-8") as file:
        found = os.fstat(descriptor)
        mode = stat.S_IMODE(found.st_mode)
        if mode & 0o077 or found.st_uid != os.geteuid():
            raise UnsafeFileError(file=str(path), mode=mode, owner=found.st_uid)
        return file.read().strip()
