"""Signed calls to a real S3 server (moto), which checks each signature against the secret that it gave out."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from mainspring.testing import eventually
from mainspring.testing._local_server import unused_port
from mainspring.tools import UNSIGNED_PAYLOAD, SignatureV4

pytestmark = pytest.mark.extras

KEY = "/bucket/a dir/ä+b & c=%.txt"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server in a process of its own; it checks signatures after the first three calls, which make a user."""

    number = unused_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(number)]
    environment = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "3"}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield number
    finally:
        server.kill()
        server.wait(10)


class Client:
    """A few calls through aiohttp, signed by us."""

    def __init__(self, session: object, signer: SignatureV4) -> None:
        self.session, self.signer = session, signer

    async def __call__(
        self, method: str, path: str, *, query: dict[str, str] | None = None, body: bytes = b"", unsigned: bool = False
    ) -> tuple[int, bytes]:
        sent = UNSIGNED_PAYLOAD if unsigned else body
        form = "application/x-www-form-urlencoded"
        content = {"Content-Type": form if self.signer.service == "iam" else "application/octet-stream"}
        headers = self.signer.get_headers(method, path, query=query or {}, headers=content, body=sent)
        pairs = "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in (query or {}).items())
        url = f"http://{self.signer.host}{quote(path, safe='/~')}{'?' + pairs if pairs else ''}"
        return await fetch(self.session, method, url, headers={**content, **headers}, body=body)


async def fetch(
    session: object, method: str, url: str, *, headers: dict[str, str] | None = None, body: bytes = b""
) -> tuple[int, bytes]:
    from aiohttp import ClientSession
    from yarl import URL

    assert isinstance(session, ClientSession)
    async with session.request(method, URL(url, encoded=True), headers=headers, data=body or None) as response:
        return response.status, await response.read()


async def test_a_server_accepts_what_we_sign(port: int) -> None:
    from aiohttp import ClientError, ClientSession

    host = f"127.0.0.1:{port}"
    async with ClientSession() as session:

        async def up() -> bool:
            try:
                return (await fetch(session, "GET", f"http://{host}/moto-api/"))[0] > 0
            except ClientError:
                return False

        await eventually(up, within=40.0)
        iam = Client(session, SignatureV4("any", "any", host, region="us-east-1", service="iam"))
        for action in ("CreateUser", "PutUserPolicy&PolicyName=all&PolicyDocument=" + quote(POLICY), "CreateAccessKey"):
            status, answer = await iam("POST", "/", body=f"Action={action}&UserName=me&Version=2010-05-08".encode())
            assert 200 == status, answer
        access, secret = (
            re.search(f"<{tag}>([^<]+)</{tag}>", answer.decode()) for tag in ("AccessKeyId", "SecretAccessKey")
        )
        assert access
        assert secret
        s3 = Client(session, SignatureV4(access[1], secret[1], host, region="us-east-1", service="s3"))
        assert 200 == (await s3("PUT", "/bucket"))[0]
        assert 200 == (await s3("PUT", KEY, body=b"content"))[0]
        assert 200 == (await s3("PUT", "/bucket/unsigned", body=b"more", unsigned=True))[0]
        assert (200, b"content") == await s3("GET", KEY)
        status, listing = await s3("GET", "/bucket", query={"list-type": "2", "prefix": "a dir/ä+", "empty": ""})
        assert (200, 1) == (status, listing.count(b"<Contents>"))
        forged = Client(session, SignatureV4(access[1], "wrong", host, region="us-east-1", service="s3"))
        status, answer = await forged("GET", KEY)
        assert (403, True) == (status, b"SignatureDoesNotMatch" in answer)
        # this server reads links, but checks the signatures of headers only: test_sigv4.py compares those of links
        await fetch(session, "POST", f"http://{host}/moto-api/reset-auth", body=b"inf")
        link = s3.signer.presign("GET", KEY, expires=60, scheme="http")
        assert (200, b"content") == await fetch(session, "GET", link)


POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
