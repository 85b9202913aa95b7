"""AWS Signature Version 4: headers and links that say who sends a request, without sending the secret.

Source: AWS documentation, "Signature Version 4 signing process", and RFC 3986 for the encoding of paths.
"""

import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, TypeAlias
from urllib.parse import quote, unquote_to_bytes

from mainspring.base import Clock, current_clock
from mainspring.errors import InvalidArgumentError

UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"
"""In the place of a body: the signature does not cover it (S3 over TLS only)."""

Query: TypeAlias = Mapping[str, str] | Sequence[tuple[str, str]]

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_EMPTY_HASH: Final = sha256(b"").hexdigest()
_REGION: Final = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d+")
_DEFAULT_REGION: Final = "us-east-1"
_AMAZON: Final = re.compile(r"\.amazonaws\.com(?:\.cn)?$")
_UNSIGNED_HEADERS: Final = frozenset({"authorization", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id"})
_LONGEST_LINK: Final = 7 * 24 * 3600


@dataclass(slots=True)
class SignatureV4:
    """Signs requests to one host of S3, or of anything else that checks AWS signatures.

    A signature holds for minutes: make one for each request. Bucket, service and region are read off the host
    (`my-bucket.s3.us-west-001.amazonaws.com`, with dots in the bucket or without any bucket as well) unless
    they are given.

    Args:
        access_key: the id of the key.
        secret_key: the key; never shown.
        host: the host of the URL, with its port if it has one.
        session_token: the token that came with temporary keys; never shown.
        region: the region, where the host does not tell it.
        service: the service, where the host does not tell it.
        clock: what tells the time; the process's clock when left out.

    Attributes:
        bucket: the part of the host before the service; empty for path-style hosts.
        endpoint: what follows the region.

    Raises:
        InvalidArgumentError: the host tells no service or region, and they are not given.

    Example:
        >>> signer = SignatureV4("AKID", "secret", "my-bucket.s3.us-west-001.amazonaws.com")
        >>> sorted(signer.get_headers("GET", "/path/file"))
        ['Authorization', 'x-amz-content-sha256', 'x-amz-date']
    """

    access_key: str
    secret_key: str = field(repr=False)
    host: str
    session_token: str | None = field(default=None, repr=False, kw_only=True)
    region: str = field(default="", kw_only=True)
    service: str = field(default="", kw_only=True)
    clock: Clock | None = field(default=None, repr=False, kw_only=True)
    bucket: str = field(default="", init=False)
    endpoint: str = field(default="", init=False)
    _key: tuple[str, bytes] = field(default=("", b""), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        bucket, service, region, endpoint = _parse_host(self.host.rpartition("@")[2].partition(":")[0].lower())
        self.bucket, self.endpoint = bucket, endpoint
        self.service = self.service or service
        self.region = self.region or region
        if not self.service or not self.region:
            raise InvalidArgumentError(
                argument="host",
                value=self.host,
                expected="[bucket].[service].[region].[domain]",
                hint="give service= and region= when the host does not tell them",
            )

    def get_headers(
        self,
        method: str,
        uri: str,
        *,
        query: Query = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | str = b"",
    ) -> dict[str, str]:
        """Return the headers to add to a request: date, authorization, and what S3 and temporary keys need.

        Args:
            method: the method, as "GET".
            uri: the path, percent-encoded or not, with a query or without.
            query: further parameters of the query, not encoded.
            headers: headers of the request to sign as well; `host` always is.
            body: the body that is sent, or UNSIGNED_PAYLOAD.

        Raises:
            InvalidArgumentError: `uri` is no path, or `query` is a text.
        """
        path, pairs = _split(uri, query)
        date = self._now()
        added = {"x-amz-date": date}
        if self.session_token is not None:
            added["x-amz-security-token"] = self.session_token
        payload = _payload_hash(body)
        if self.service == "s3":
            added["x-amz-content-sha256"] = payload
        signed = _signed_headers({"host": self.host, **(headers or {}), **added})
        names = ";".join(signed)
        signature = self._signature(method, path, pairs, signed, payload, date)
        scope = f"{self.access_key}/{self._scope(date)}"
        added["Authorization"] = f"{_ALGORITHM} Credential={scope}, SignedHeaders={names}, Signature={signature}"
        return added

    def presign(
        self,
        method: str,
        uri: str,
        *,
        expires: int = 3600,
        query: Query = (),
        headers: Mapping[str, str] | None = None,
        scheme: str = "https",
    ) -> str:
        """Return a link that lets its holder make this one request.

        Args:
            method: the method, as "GET".
            uri: the path, percent-encoded or not, with a query or without.
            expires: seconds for which the link is good, 1 to 604800.
            query: further parameters of the query, not encoded.
            headers: headers that the request must carry.
            scheme: "https" or "http".

        Raises:
            InvalidArgumentError: `expires` is out of range, `uri` is no path, or `query` is a text.
        """
        if type(expires) is not int or not 1 <= expires <= _LONGEST_LINK:
            raise InvalidArgumentError(argument="expires", value=expires, expected=f"seconds from 1 to {_LONGEST_LINK}")
        path, pairs = _split(uri, query)
        date = self._now()
        signed = _signed_headers({"host": self.host, **(headers or {})})
        pairs += [
            ("X-Amz-Algorithm", _ALGORITHM),
            ("X-Amz-Credential", _encoded(f"{self.access_key}/{self._scope(date)}")),
            ("X-Amz-Date", date),
            ("X-Amz-Expires", str(expires)),
            ("X-Amz-SignedHeaders", _encoded(";".join(signed))),
        ]
        if self.session_token is not None:
            pairs.append(("X-Amz-Security-Token", _encoded(self.session_token)))
        payload = UNSIGNED_PAYLOAD if self.service == "s3" else _EMPTY_HASH
        signature = self._signature(method, path, pairs, signed, payload, date)
        joined = "&".join(f"{key}={value}" for key, value in pairs)
        return f"{scheme}://{self.host}{path}?{joined}&X-Amz-Signature={signature}"

    def _now(self) -> str:
        return (self.clock or current_clock()).now().strftime("%Y%m%dT%H%M%SZ")

    def _scope(self, date: str) -> str:
        return f"{date[:8]}/{self.region}/{self.service}/aws4_request"

    def _signature(
        self, method: str, path: str, pairs: list[tuple[str, str]], headers: Mapping[str, str], payload: str, date: str
    ) -> str:
        canonical = "\n".join(
            [
                method.upper(),
                path if self.service == "s3" else quote(_without_dots(path), safe="/~"),
                "&".join(f"{key}={value}" for key, value in sorted(pairs)),
                *(f"{name}:{value}" for name, value in headers.items()),
                "",
                ";".join(headers),
                payload,
            ]
        )
        digest = sha256(canonical.encode()).hexdigest()
        text = f"{_ALGORITHM}\n{date}\n{self._scope(date)}\n{digest}"
        return hmac.digest(self._signing_key(date[:8]), text.encode(), "sha256").hex()

    def _signing_key(self, day: str) -> bytes:
        """Return the key of a day; it is kept, since making it takes longer than signing with it."""
        if self._key[0] != day:
            self._key = (day, signing_key(self.secret_key, day, self.region, self.service))
        return self._key[1]


def signing_key(secret_key: str, day: str, region: str, service: str) -> bytes:
    """Return the key that signs the requests of one day (`YYYYMMDD`) to one service in one region."""
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _payload_hash(body: bytes | str) -> str:
    if body == UNSIGNED_PAYLOAD:
        return UNSIGNED_PAYLOAD
    if not body:
        return _EMPTY_HASH
    return sha256(body.encode() if isinstance(body, str) else body).hexdigest()


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")


def _split(uri: str, query: Query) -> tuple[str, list[tuple[str, str]]]:
    """Return the path as it is sent, and the encoded pairs of its query and of `query`."""
    path, _, text = uri.partition("?")
    if path and not path.startswith("/"):
        raise InvalidArgumentError(argument="uri", value=uri, expected="the path of a URL, which begins with a slash")
    pairs = [pair.partition("=")[::2] for pair in text.split("&") if pair]
    pairs = [(_again(key), _again(value)) for key, value in pairs]
    _check_pairs(query)
    pairs += [(_encoded(key), _encoded(value)) for key, value in _pairs(query)]
    return quote(unquote_to_bytes(path), safe="/~") or "/", pairs


def _check_pairs(query: object) -> None:
    if isinstance(query, str | bytes) or not isinstance(query, Mapping | Sequence):
        raise InvalidArgumentError(argument="query", value=query, expected="pairs of texts, or a mapping")


def _pairs(query: Query) -> Iterable[tuple[str, str]]:
    return query if isinstance(query, Sequence) else query.items()


def _again(part: str) -> str:
    """Encode what may be encoded already."""
    return quote(unquote_to_bytes(part), safe="-_.~")


def _signed_headers(headers: Mapping[str, str]) -> dict[str, str]:
    named = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    return {name: named[name] for name in sorted(named.keys() - _UNSIGNED_HEADERS)}


def _without_dots(path: str) -> str:
    """Return a path without empty, `.` and `..` segments, as all services but S3 want it signed."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    end = "/" if kept and path.endswith("/") else ""
    return f"/{'/'.join(kept)}{end}"


def _parse_host(host: str) -> tuple[str, str, str, str]:
    """Return bucket, service, region and endpoint of a host; what it does not tell is empty."""
    labels = host.split(".")
    places = [place for place, label in enumerate(labels) if label == "s3" or label.startswith("s3-")]
    if places:
        return _parse_s3(labels, places[-1])
    domain = _AMAZON.search(host)
    if domain:
        return _parse_amazon(host[: domain.start()].split("."), domain[0][1:])
    if len(labels) > 3 and not host.replace(".", "").isdigit():
        return labels[0], labels[1], labels[2], ".".join(labels[3:])
    return "", "", "", ""


def _parse_s3(labels: list[str], place: int) -> tuple[str, str, str, str]:
    rest = [label for label in labels[place + 1 :] if label != "dualstack"]
    legacy = labels[place].removeprefix("s3-")
    bucket = ".".join(labels[:place])
    if _REGION.fullmatch(legacy):
        return bucket, "s3", legacy, ".".join(rest)
    if rest[:1] == ["amazonaws"] or not rest:
        return bucket, "s3", _DEFAULT_REGION if rest else "", ".".join(rest)
    return bucket, "s3", rest[0], ".".join(rest[1:])


def _parse_amazon(labels: list[str], domain: str) -> tuple[str, str, str, str]:
    regions = [place for place, label in enumerate(labels) if _REGION.fullmatch(label)]
    if not regions:
        return ".".join(labels[:-1]), labels[-1], _DEFAULT_REGION, domain
    place = regions[-1]
    if place == len(labels) - 1:
        return ".".join(labels[: place - 1]), labels[place - 1] if place else "", labels[place], domain
    return ".".join(labels[:place]), labels[-1], labels[place], domain
