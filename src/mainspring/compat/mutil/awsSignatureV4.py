"""`mutil.awsSignatureV4`."""

import hmac

from mainspring.tools import SignatureV4 as _SignatureV4
from mainspring.tools import signing_key

__all__ = ("SignatureV4", "getSignatureKey", "sign")


def sign(key: bytes, msg: str) -> bytes:
    """Return the HMAC-SHA256 of a text."""
    return hmac.digest(key, msg.encode(), "sha256")


def getSignatureKey(key: str, dateStamp: str, regionName: str, serviceName: str) -> bytes:  # noqa: N803
    """Return the key that signs the requests of one day."""
    return signing_key(key, dateStamp, regionName, serviceName)


class SignatureV4(_SignatureV4):
    """The old spelling of `get_headers`; the headers of S3 hold the hash of the body as well."""

    def getHeaders(self, method: str, uri: str) -> dict[str, str]:
        """Return the headers that authorise a request without body."""
        return self.get_headers(method, uri)
