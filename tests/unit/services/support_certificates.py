"""Certificates of a small world: a server of `localhost`, a client, and what is wrong with others."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files with certificates and keys; `x` and `x_key` belong together."""

    ca: str
    server: str
    server_key: str
    client: str
    client_key: str
    elsewhere: str
    elsewhere_key: str
    expired: str
    expired_key: str
    self_signed: str
    self_signed_key: str
    stranger: str
    stranger_key: str


def make_certificates(folder: Path) -> Certificates:
    """Make all of them."""
    import trustme  # not there without extras

    ca, other = trustme.CA(), trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    made = {
        "server": ca.issue_cert("localhost", "127.0.0.1"),
        "client": ca.issue_cert("client@example.org"),
        "elsewhere": ca.issue_cert("elsewhere.example.org"),
        "expired": ca.issue_cert(
            "localhost", not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=datetime(2021, 1, 1, tzinfo=UTC)
        ),
        "self_signed": trustme.CA().issue_cert("localhost"),
        "stranger": other.issue_cert("client@example.org"),
    }
    files = {"ca": str(folder / "ca.pem")}
    for name, cert in made.items():
        files[name], files[f"{name}_key"] = str(folder / f"{name}.pem"), str(folder / f"{name}.key")
        cert.private_key_pem.write_to_path(files[f"{name}_key"])
        for number, blob in enumerate(cert.cert_chain_pems):
            blob.write_to_path(files[name], append=number > 0)
    return Certificates(**files)
