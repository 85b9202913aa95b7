"""Zones know what is in them and what is not, on borders of labels; changes happen whole or not at all."""

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.services import DNSRecords, DNSStore, DNSZone, RecordType
from mainspring.services._dns_store import resolve

A, CNAME, SOA, TXT = DNSRecords.A, DNSRecords.CNAME, DNSRecords.SOA, DNSRecords.TXT


@pytest.fixture
def zone() -> DNSZone:
    return DNSZone(
        "Test",
        SOA.create("test", "ns.test", "admin.test"),
        A.create("test", "10.10.10.10"),
        A.create("deep.down.test", "10.0.0.1"),
        A.create("deep.down.test", "10.0.0.2"),
        CNAME.create("alias.test", "deep.down.test"),
        CNAME.create("away.test", "www.example.org"),
        CNAME.create("round.test", "round.test"),
    )


@pytest.fixture
def store(zone: DNSZone) -> DNSStore:
    made = DNSStore()
    made.add_zone(zone)
    return made


def test_a_zone_ends_at_a_border_of_labels(zone: DNSZone) -> None:
    assert ["a.test.", "test."] == [name for name in ("a.test.", "test.", "contest.", "atest.", ".") if name in zone]
    assert "anything." in DNSZone(".")
    assert zone.check_record(A.create("x.test", "10.0.0.1"))
    with pytest.raises(InvalidArgumentError, match="a name in the zone test"):
        zone.add_record(A.create("contest", "10.0.0.1"))


def test_records_come_and_go(zone: DNSZone) -> None:
    record = A.create("new.test", "10.0.0.9", ttl=5)
    zone.add_record(record)
    zone.add_record(A.create("new.test", "10.0.0.9", ttl=6))
    assert [6] == [one.ttl for one in zone.get_records("NEW.test", RecordType.A)]
    zone.remove_record(record)
    assert () == zone.get_records("new.test")
    assert not zone.has_name("new.test.")
    with pytest.raises(InvalidArgumentError, match=r"a record of <DNSZone test\. records=7>"):
        zone.remove_record(record)


def test_names_in_between_exist_as_long_as_something_is_below(zone: DNSZone) -> None:
    assert zone.has_name("down.test.")
    first, second = zone.get_records("deep.down.test")
    zone.remove_record(first)
    assert zone.has_name("down.test.")
    zone.remove_record(second)
    assert not zone.has_name("down.test.")


def test_a_replacement_happens_whole_or_not_at_all(zone: DNSZone, store: DNSStore) -> None:
    good, bad = A.create("x.test", "10.0.0.1"), A.create("x.other", "10.0.0.1")
    with pytest.raises(InvalidArgumentError):
        zone.replace([good, bad])
    assert 2 == len(zone.get_records("deep.down.test"))
    zone.replace([good])
    assert (good,) == zone.get_records("x.test")
    assert () == zone.get_records("deep.down.test")
    with pytest.raises(InvalidArgumentError):
        store.replace({"other": [bad], "test": [bad]})
    assert store.get_zone("test") is zone
    store.replace({"other": [bad]})
    assert (None, (bad,)) == (store.get_zone("test"), store.query("x.other", RecordType.A))


def test_a_name_belongs_to_the_longest_zone(store: DNSStore) -> None:
    inner = DNSZone("inner.test")
    store.add_zone(inner)
    assert store.get_zone_for_name("a.inner.test") is inner
    assert store.get_zone_for_name("a.b.test") is store.get_zone("test.")
    assert store.get_zone_for_name("example.org") is None
    root = DNSZone(".")
    store.add_zone(root)
    assert store.get_zone_for_name("example.org") is root
    assert "<DNSStore zones=3>" == repr(store)
    store.remove_zone("inner.test")
    assert (None, ()) == (store.get_zone("inner.test"), store.query("a.inner.test"))


def test_zones_have_names_of_their_own(store: DNSStore) -> None:
    with pytest.raises(InvalidArgumentError, match="a zone of another name"):
        store.add_zone(DNSZone("test."))
    with pytest.raises(InvalidArgumentError, match=r"one of test\."):
        store.remove_zone("other")
    assert () == store.query("nothing.example.org")
    assert (("org", "example"), ()) == (store.get_reverse_tuple("Example.org"), store.get_reverse_tuple("."))


@pytest.mark.parametrize(
    ("name", "type", "outcome", "count"),
    [
        ("test.", RecordType.A, "found", 1),
        ("test.", None, "found", 2),
        ("test.", RecordType.MX, "no data", 0),
        ("test.", 9999, "no data", 0),
        ("down.test.", RecordType.A, "no data", 0),
        ("up.test.", RecordType.A, "no such name", 0),
        ("contest.", RecordType.A, "not mine", 0),
        ("alias.test.", RecordType.A, "found", 3),
        ("alias.test.", RecordType.CNAME, "found", 1),
        ("alias.test.", RecordType.TXT, "no data", 1),
        ("away.test.", RecordType.A, "found", 1),
        ("round.test.", RecordType.A, "found", 1),
    ],
)
def test_a_question_has_one_outcome(store: DNSStore, name: str, type: int | None, outcome: str, count: int) -> None:
    answer = resolve(store, name, type)
    assert (outcome, count) == (answer.outcome, len(answer.records))
    assert (outcome in ("no data", "no such name")) == bool(answer.authority)
