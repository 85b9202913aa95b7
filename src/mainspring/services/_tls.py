"""TLS contexts that check the other side unless they are told not to."""

import logging
import os
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from mainspring.errors import InvalidArgumentError

log = logging.getLogger(__name__)

PathOrStr: TypeAlias = str | os.PathLike[str]

Ciphers: TypeAlias = str | Sequence[str]

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; all of TLS 1.3 are good


@dataclass(frozen=True, slots=True)
class SSLOptions:
    """What a TLS context is made of.

    As a client (`purpose=ssl.Purpose.SERVER_AUTH`) it checks the chain and the host name of the server unless
    `verify` is False, which is logged. As a server it demands a certificate of each client when
    `require_client_cert` is set, and checks those that are sent when `ca` is given and `verify` is left on.

    Attributes:
        cert: file with the certificate of this side, and its chain.
        key: file with the private key; None when `cert` has it too.
        ca: file with the authorities to trust; None for those of the system.
        verify: see above.
        require_client_cert: see above.
        purpose: whom the context checks.
        minimum_version: oldest protocol, at least TLS 1.2.
        maximum_version: newest protocol.
        ciphers: those of TLS 1.2, one text in OpenSSL's form or several names; TLS 1.3 has its own.

    Raises:
        InvalidArgumentError: a version older than TLS 1.2, a key without certificate, or an unknown cipher.
    """

    cert: PathOrStr | None = None
    key: PathOrStr | None = None
    ca: PathOrStr | None = None
    verify: bool = True
    require_client_cert: bool = False
    purpose: ssl.Purpose = ssl.Purpose.CLIENT_AUTH
    minimum_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    maximum_version: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED
    ciphers: Ciphers = CIPHERS

    def __post_init__(self) -> None:
        if self.minimum_version not in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            expected = "TLSv1_2 or TLSv1_3: older protocols are broken"
            raise InvalidArgumentError(argument="minimum_version", value=self.minimum_version, expected=expected)
        if self.key is not None and self.cert is None:
            raise InvalidArgumentError(argument="cert", value=None, expected="the certificate of the key")
        if self.ciphers != CIPHERS:
            _check_ciphers(self.ciphers)

    def create_context(self) -> ssl.SSLContext:
        """Read the files and make the context; blocks for the time that the disk takes.

        Raises:
            FileNotFoundError: a file is not there.
            ssl.SSLError: a file is not what it should be, or the key is another's.
        """
        for file in (self.cert, self.key, self.ca):
            if file is not None:
                os.stat(file)  # OpenSSL does not say which one is missing
        is_client = self.purpose is ssl.Purpose.SERVER_AUTH
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if is_client else ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = self.minimum_version
        context.maximum_version = self.maximum_version
        context.set_ciphers(_as_text(self.ciphers))
        if self.cert is not None:
            context.load_cert_chain(self.cert, self.key)
        self._set_trust(context, is_client)
        return context

    def _set_trust(self, context: ssl.SSLContext, is_client: bool) -> None:
        if is_client and not self.verify:
            log.warning("verify=False: whoever answers is believed to be the server")
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return
        if not is_client:
            checks = self.verify and self.ca is not None
            optional = ssl.CERT_OPTIONAL if checks else ssl.CERT_NONE
            context.verify_mode = ssl.CERT_REQUIRED if self.require_client_cert else optional
        if self.ca is not None:
            context.load_verify_locations(os.fspath(self.ca))
        elif context.verify_mode != ssl.CERT_NONE:
            context.load_default_certs(self.purpose)


def _as_text(ciphers: Ciphers) -> str:
    return ciphers if isinstance(ciphers, str) else ":".join(ciphers)


def _check_ciphers(ciphers: Ciphers) -> None:
    """Look at each by itself: OpenSSL passes over a name that it does not know when it knows another."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    wanted = [name for name in re.split("[:, ]+", _as_text(ciphers)) if name and name[0] not in "!-+@"]
    for name in wanted or [""]:  # only what is left out is nothing to choose from
        try:
            context.set_ciphers(name)
        except ssl.SSLError as error:
            expected = f"ciphers of TLS 1.2 that OpenSSL knows, which {name!r} is not"
            raise InvalidArgumentError(argument="ciphers", value=ciphers, expected=expected) from error


def get_ssl_context(
    cert: PathOrStr | None,
    key: PathOrStr | None,
    ca: PathOrStr | None = None,
    *,
    verify: bool = True,
    require_client_cert: bool = False,
    purpose: ssl.Purpose = ssl.Purpose.CLIENT_AUTH,
    ciphers: Ciphers = CIPHERS,
) -> ssl.SSLContext:
    """Make a TLS context, see `SSLOptions`; blocks for the time that the disk takes.

    Raises:
        InvalidArgumentError: a key without certificate, or an unknown cipher.
        FileNotFoundError: a file is not there.
        ssl.SSLError: a file is not what it should be, or the key is another's.
    """
    options = SSLOptions(
        cert=cert,
        key=key,
        ca=ca,
        verify=verify,
        require_client_cert=require_client_cert,
        purpose=purpose,
        ciphers=ciphers,
    )
    return options.create_context()
