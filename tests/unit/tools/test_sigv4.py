"""SignatureV4: byte-equal to botocore over a generated corpus; hosts, links, what is never shown."""

import datetime as dt
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any
from urllib.parse import quote

import pytest

from mainspring.base import SystemClock, current_clock, use_clock, use_random
from mainspring.errors import InvalidArgumentError
from mainspring.tools import UNSIGNED_PAYLOAD, SignatureV4
from mainspring.tools._sigv4 import _without_dots, signing_key

Count = Callable[[int, int], int]

HOSTS = (
    "my-bucket.s3.us-west-001.amazonaws.com",
    "dotted.bucket.name.s3.eu-central-1.amazonaws.com",
    "s3.eu-west-1.amazonaws.com",
    "localhost:9000",
    "dynamodb.us-east-1.amazonaws.com",
    "abc123.execute-api.ap-southeast-2.amazonaws.com",
    "b.s3.us-west-001.backblazeb2.com",
)
KEY = ("AKIDEXAMPLE", "wJalr/secret+KEY")
NAMES = "abcXYZ019-_.~ /+&=%*'()!@äß☃:,"


class FixedClock(SystemClock):
    """A clock that stands."""

    def __init__(self, at: dt.datetime) -> None:
        self.at = at

    def now(self) -> dt.datetime:
        return self.at


@pytest.fixture
def oracle(monkeypatch: pytest.MonkeyPatch) -> Any:
    """botocore's signer, whose clock is ours."""
    import botocore.auth
    import botocore.compat

    def now(remove_tzinfo: bool = True) -> dt.datetime:
        return current_clock().now().replace(tzinfo=None)

    for module in (botocore.auth, botocore.compat):
        if hasattr(module, "get_current_datetime"):
            monkeypatch.setattr(module, "get_current_datetime", now)
    return botocore.auth


def request(random: Any) -> dict[str, Any]:
    def text(longest: int) -> str:
        return "".join(random.choices(NAMES, k=random.randint(1, longest)))

    return {
        "host": random.choice(HOSTS),
        "method": random.choice(("GET", "PUT", "POST", "DELETE", "HEAD")),
        "path": "/" + "/".join(quote(text(8).replace("/", ""), safe="~") for _ in range(random.randint(0, 4))),
        "query": [(text(6), text(6) if random.random() < 0.8 else "") for _ in range(random.choice((0, 0, 1, 3, 5)))],
        "headers": {
            name: random.choice(("plain", "  spaced   out ", "a,b", "x" * 70))
            for name in random.sample(("Content-Type", "X-Amz-Meta-A", "x-amz-acl", "User-Agent", "Range", "Expect"), 2)
        },
        "body": random.choice((b"", b"body", bytes(range(256)))),
        "token": random.choice((None, None, "token/with+signs==")),
        "at": dt.datetime(2024, 2, 28, tzinfo=dt.UTC) + dt.timedelta(seconds=random.randint(0, 10**8)),
        "expires": random.randint(1, 604800),
    }


def signers(oracle: Any, case: dict[str, Any]) -> tuple[SignatureV4, Any, str]:
    given = {"region": "local", "service": "s3"} if case["host"].startswith("localhost") else {}
    ours = SignatureV4(
        "AKIDEXAMPLE",
        "wJalr/secret+KEY",
        case["host"],
        session_token=case["token"],
        clock=FixedClock(case["at"]),
        **given,
    )
    from botocore.credentials import Credentials

    return ours, Credentials(*KEY, case["token"]), ours.service


def aws_request(case: dict[str, Any]) -> Any:
    from botocore.awsrequest import AWSRequest

    query = "&".join(f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}" for key, value in case["query"])
    url = f"http://{case['host']}{case['path']}{'?' + query if query else ''}"
    return AWSRequest(case["method"], url, headers=case["headers"], data=case["body"])


@pytest.mark.extras
def test_headers_equal_those_of_botocore(oracle: Any, mainspring_count: Count) -> None:
    with use_random("sigv4") as random:
        for _ in range(mainspring_count(600, 60_000)):
            case = request(random)
            ours, credentials, service = signers(oracle, case)
            theirs = aws_request(case)
            kind = oracle.S3SigV4Auth if service == "s3" else oracle.SigV4Auth
            with use_clock(FixedClock(case["at"])):
                kind(credentials, service, ours.region).add_auth(theirs)
            found = ours.get_headers(
                case["method"], case["path"], query=case["query"], headers=case["headers"], body=case["body"]
            )
            wanted = {name.lower(): value for name, value in theirs.headers.items()}
            for name, value in found.items():
                assert wanted[name.lower()] == value, case
            assert ("x-amz-content-sha256" in found) is (service == "s3")


@pytest.mark.extras
def test_links_equal_those_of_botocore(oracle: Any, mainspring_count: Count) -> None:
    with use_random("links") as random:
        for _ in range(mainspring_count(400, 40_000)):
            case = request(random)
            case["body"] = b""
            case["headers"] = {"x-amz-acl": "private"} if random.random() < 0.3 else {}
            # without its value a parameter of a link is dropped by botocore
            case["query"] = list({key: value or "v" for key, value in case["query"]}.items())
            ours, credentials, service = signers(oracle, case)
            theirs = aws_request(case)
            kind = oracle.S3SigV4QueryAuth if service == "s3" else oracle.SigV4QueryAuth
            with use_clock(FixedClock(case["at"])):
                kind(credentials, service, ours.region, expires=case["expires"]).add_auth(theirs)
            found = ours.presign(
                case["method"], case["path"], expires=case["expires"], query=case["query"],
                headers=case["headers"], scheme="http",
            )  # fmt: skip
            assert theirs.url == found, case


@pytest.mark.parametrize(
    ("host", "bucket", "service", "region", "endpoint"),
    [
        ("my-bucket.s3.us-west-001.amazonaws.com", "my-bucket", "s3", "us-west-001", "amazonaws.com"),
        ("a.b.s3.us-west-2.amazonaws.com:443", "a.b", "s3", "us-west-2", "amazonaws.com"),
        ("a.s3.c.s3.us-west-2.amazonaws.com", "a.s3.c", "s3", "us-west-2", "amazonaws.com"),
        ("s3.us-west-2.amazonaws.com", "", "s3", "us-west-2", "amazonaws.com"),
        ("s3.amazonaws.com", "", "s3", "us-east-1", "amazonaws.com"),
        ("b.s3.amazonaws.com", "b", "s3", "us-east-1", "amazonaws.com"),
        ("b.s3.dualstack.eu-west-1.amazonaws.com", "b", "s3", "eu-west-1", "amazonaws.com"),
        ("b.s3-eu-west-1.amazonaws.com", "b", "s3", "eu-west-1", "amazonaws.com"),
        ("s3.cn-north-1.amazonaws.com.cn", "", "s3", "cn-north-1", "amazonaws.com.cn"),
        ("dynamodb.us-east-1.amazonaws.com", "", "dynamodb", "us-east-1", "amazonaws.com"),
        ("x.execute-api.us-east-1.amazonaws.com", "x", "execute-api", "us-east-1", "amazonaws.com"),
        ("search-x.us-east-1.es.amazonaws.com", "search-x", "es", "us-east-1", "amazonaws.com"),
        ("iam.amazonaws.com", "", "iam", "us-east-1", "amazonaws.com"),
        ("B.objects.eu-1.example.com", "b", "objects", "eu-1", "example.com"),
    ],
)
def test_a_host_tells_its_parts(host: str, bucket: str, service: str, region: str, endpoint: str) -> None:
    signer = SignatureV4("k", "s", host)
    assert (bucket, service, region, endpoint) == (signer.bucket, signer.service, signer.region, signer.endpoint)


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1", "example.com", "s3", "us-east-1.amazonaws.com"])
def test_a_host_that_tells_nothing_needs_them_given(host: str) -> None:
    with pytest.raises(InvalidArgumentError, match="host="):
        SignatureV4("k", "s", host)
    given = SignatureV4("k", "s", host, region="r", service="s3")
    assert ("r", "s3") == (given.region, given.service)


def test_a_path_may_be_encoded_or_not() -> None:
    signer = SignatureV4("k", "s", HOSTS[0], clock=FixedClock(dt.datetime(2024, 1, 2, tzinfo=dt.UTC)))
    assert signer.get_headers("GET", "/a b/ä") == signer.get_headers("get", "/a%20b/%C3%A4")
    assert signer.get_headers("GET", "/a?x=1&y") == signer.get_headers("GET", "/a", query={"y": "", "x": "1"})
    assert signer.get_headers("GET", "") == signer.get_headers("GET", "/")
    assert "20240102T000000Z" == signer.get_headers("GET", "/")["x-amz-date"]


def test_a_body_may_stay_unsigned() -> None:
    signer = SignatureV4("k", "s", HOSTS[0])
    assert UNSIGNED_PAYLOAD == signer.get_headers("PUT", "/a", body=UNSIGNED_PAYLOAD)["x-amz-content-sha256"]
    assert (
        signer.get_headers("PUT", "/", body="ä")["x-amz-content-sha256"]
        == (signer.get_headers("PUT", "/", body="ä".encode())["x-amz-content-sha256"])
    )


def test_the_day_of_a_key_ends_with_the_day() -> None:
    clock = FixedClock(dt.datetime(2024, 1, 1, 23, 59, 59, tzinfo=dt.UTC))
    signer = SignatureV4("k", "s", HOSTS[0], clock=clock)
    first = signer.get_headers("GET", "/")["Authorization"]
    clock.at += dt.timedelta(seconds=1)
    second = signer.get_headers("GET", "/")["Authorization"]
    assert second == SignatureV4("k", "s", HOSTS[0], clock=clock).get_headers("GET", "/")["Authorization"]
    assert re.findall(r"\d{8}/", first + second) == ["20240101/", "20240102/"]


@pytest.mark.parametrize("uri", ["file", "https://host/file", "file?a=b"])
def test_a_path_begins_with_a_slash(uri: str) -> None:
    """Others were signed as they are, and the server refused the signature."""
    signer = SignatureV4("k", "s", HOSTS[0])
    for sign in (signer.get_headers, signer.presign):
        with pytest.raises(InvalidArgumentError, match="uri="):
            sign("GET", uri)
        for query in ("a=b", 5):
            with pytest.raises(InvalidArgumentError, match="query="):
                sign("GET", "/", query=query)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("expires", [0, 604801, 1.5])
def test_a_link_holds_for_a_week_at_most(expires: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="expires"):
        SignatureV4("k", "s", HOSTS[0]).presign("GET", "/", expires=expires)


def test_secrets_are_not_shown() -> None:
    signer = SignatureV4("id", "hunter2", HOSTS[0], session_token="tokentoken")
    signer.get_headers("GET", "/")
    assert "hunter2" not in repr(signer)
    assert "tokentoken" not in repr(signer)


def test_the_documented_key_is_made() -> None:
    """The example of AWS's own documentation of the key derivation."""
    key = signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20120215", "us-east-1", "iam")
    assert "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d" == key.hex()


@pytest.mark.extras
def test_paths_lose_their_dots_as_in_botocore() -> None:
    normalize: Any = import_module("botocore.utils").normalize_url_path
    with use_random("paths") as random:
        for _ in range(2000):
            path = "/" + "/".join(random.choices(("a", "b.c", ".", "..", "", "..."), k=random.randint(0, 6)))
            assert normalize(path) == _without_dots(path), path
