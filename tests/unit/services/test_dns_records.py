"""Records are checked when they are made, and are equal when they say the same."""

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.services import DNSRecords, RecordType
from mainspring.services._dns_records import full_name


def test_names_and_addresses_have_one_form() -> None:
    record = DNSRecords.AAAA.create("WWW.Example.org", "FD10:0::0010", ttl=60)
    assert ("www.example.org.", RecordType.AAAA, ("fd10::10",), 1, 60) == (
        record.name,
        record.type,
        record.data,
        record.cls,
        record.ttl,
    )
    assert ("mail.example.org.", 10) == DNSRecords.MX.create("example.org.", "Mail.Example.org").data


def test_the_time_to_live_does_not_count() -> None:
    assert DNSRecords.A.create("a", "192.0.2.1", ttl=1) == DNSRecords.A.create("A.", "192.0.2.1")
    assert DNSRecords.A.create("a", "192.0.2.1") != DNSRecords.A.create("a", "192.0.2.2")
    assert 1 == len({DNSRecords.TXT.create("a", ["x", "y"], ttl=ttl) for ttl in (1, 2)})


def test_fields_are_given_in_order_or_by_name() -> None:
    one = DNSRecords.SRV.create("_x._tcp.example.org", 10, 20, 443, "www.example.org")
    assert one == DNSRecords.SRV.create("_x._tcp.example.org", 10, 20, target="www.example.org.", port=443)
    assert "<RecordKind SRV (name, priority, weight, port, target)>" == repr(DNSRecords.SRV)


@pytest.mark.parametrize(
    ("data", "named", "said"),
    [
        ((), {}, "the fields ipv4"),
        (("192.0.2.1", 3), {}, "the fields ipv4"),
        (("192.0.2.1",), {"port": 3}, "the fields ipv4"),
        (("192.0.2.300",), {}, "IPv4Address"),
        (("::1",), {}, "IPv4Address"),
        (("192.0.2.1",), {"ttl": -1}, "ttl"),
    ],
)
def test_what_is_no_record_is_refused(data: tuple[object, ...], named: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        DNSRecords.A.create("a", *data, **named)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", ["", "a..b", f"{'x' * 64}.org", ".".join(["abc"] * 64), ".a"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="labels of 1 to 63"):
        DNSRecords.A.create(name, "192.0.2.1")
    assert "." == full_name(".")
