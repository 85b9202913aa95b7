"""Contexts check the other side unless they are told not to, and refuse what is weak or missing."""

import ssl

import pytest
from tests.unit.services.support_certificates import Certificates

from mainspring.errors import InvalidArgumentError
from mainspring.services import SSLOptions, get_ssl_context

pytestmark = pytest.mark.extras

CLIENT = ssl.Purpose.SERVER_AUTH
ONE, TWO = "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"


def test_a_client_checks_chain_and_name(certificates: Certificates) -> None:
    for ca in (certificates.ca, None):
        context = SSLOptions(ca=ca, purpose=CLIENT).create_context()
        assert (ssl.CERT_REQUIRED, True) == (context.verify_mode, context.check_hostname)
        assert ssl.TLSVersion.TLSv1_3 == context.minimum_version


def test_a_client_that_checks_nothing_says_so(caplog: pytest.LogCaptureFixture) -> None:
    context = SSLOptions(verify=False, purpose=CLIENT).create_context()
    assert (ssl.CERT_NONE, False) == (context.verify_mode, context.check_hostname)
    assert "whoever answers is believed to be the server" in caplog.text


@pytest.mark.parametrize(
    ("ca", "verify", "required", "mode"),
    [
        (False, True, False, ssl.CERT_NONE),
        (True, True, False, ssl.CERT_OPTIONAL),
        (True, False, False, ssl.CERT_NONE),
        (True, True, True, ssl.CERT_REQUIRED),
        (True, False, True, ssl.CERT_REQUIRED),
        (False, True, True, ssl.CERT_REQUIRED),
    ],
)
def test_a_server_checks_clients_as_asked(
    certificates: Certificates, ca: bool, verify: bool, required: bool, mode: ssl.VerifyMode
) -> None:
    context = get_ssl_context(
        certificates.server,
        certificates.server_key,
        certificates.ca if ca else None,
        verify=verify,
        require_client_cert=required,
    )
    assert mode == context.verify_mode


@pytest.mark.parametrize("missing", ["cert", "key", "ca"])
def test_a_missing_file_is_named(certificates: Certificates, missing: str) -> None:
    files = {"cert": certificates.server, "key": certificates.server_key, "ca": certificates.ca, missing: "gone.pem"}
    with pytest.raises(FileNotFoundError, match=r"gone\.pem"):
        SSLOptions(**files).create_context()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_what_cannot_work_is_refused_at_once(certificates: Certificates) -> None:
    with pytest.raises(InvalidArgumentError, match="older protocols are broken"):
        SSLOptions(minimum_version=ssl.TLSVersion.TLSv1_1)
    with pytest.raises(InvalidArgumentError, match="the certificate of the key"):
        SSLOptions(key=certificates.server_key)
    with pytest.raises(ssl.SSLError, match=r"(?i)mismatch"):
        get_ssl_context(certificates.server, certificates.client_key)


@pytest.mark.parametrize("ciphers", [f"{ONE}:{TWO}", (ONE, TWO), [ONE, TWO], f"ECDHE+AESGCM:!AES128,{TWO}"])
def test_ciphers_are_a_text_or_names(certificates: Certificates, ciphers: str | list[str]) -> None:
    context = get_ssl_context(certificates.server, certificates.server_key, ciphers=ciphers)
    assert {ONE, TWO} <= {one["name"] for one in context.get_ciphers()}
    assert not any("AES128" in one["name"] for one in context.get_ciphers() if one["protocol"] == "TLSv1.2")


@pytest.mark.parametrize("ciphers", ["NO-SUCH", f"{ONE}:NO-SUCH", (ONE, "NO-SUCH"), "", (), "!AES128"])
def test_ciphers_that_openssl_does_not_know_are_refused_at_once(ciphers: str | tuple[str, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match="that OpenSSL knows, which"):
        SSLOptions(ciphers=ciphers)
