"""Zones and the store of them, pure: which records answer a question."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from mainspring.errors import InvalidArgumentError
from mainspring.services._dns_records import DNSRecord, RecordType, full_name

Outcome = Literal["found", "no data", "no such name", "not mine"]
_LONGEST_CHAIN = 8  # aliases that are followed for one question


class DNSZone:
    """The records of a name and of all names below it.

    Args:
        name: of the zone; the dot of the root is added.
        records: the first ones.

    Raises:
        InvalidArgumentError: a record is about a name outside of the zone.
    """

    def __init__(self, name: str, *records: DNSRecord) -> None:
        self.name = full_name(name)
        self._records: dict[str, dict[DNSRecord, DNSRecord]] = {}
        self._above: dict[str, int] = {}  # names between a record's and the zone's: they exist, without data
        self.replace(records)

    def __repr__(self) -> str:
        return f"<DNSZone {self.name} records={sum(map(len, self._records.values()))}>"

    def __contains__(self, name: str) -> bool:
        """Say whether a name belongs to the zone, on a border of labels."""
        return self.name == "." or name == self.name or name.endswith(f".{self.name}")

    def has_name(self, name: str) -> bool:
        """Say whether there is something at the name or below it."""
        return name in self._records or name in self._above or name == self.name

    def add_record(self, record: DNSRecord) -> None:
        """Take a record; an equal one is replaced.

        Raises:
            InvalidArgumentError: it is about a name outside of the zone.
        """
        self._check(record)
        at_name = self._records.setdefault(record.name, {})
        if not at_name:
            self._count_above(record.name, 1)
        at_name.pop(record, None)
        at_name[record] = record

    def remove_record(self, record: DNSRecord) -> None:
        """Drop a record.

        Raises:
            InvalidArgumentError: there is none like it.
        """
        at_name = self._records.get(record.name, {})
        if record not in at_name:
            raise InvalidArgumentError(argument="record", value=record, expected=f"a record of {self!r}")
        del at_name[record]
        if not at_name:
            del self._records[record.name]
            self._count_above(record.name, -1)

    def check_record(self, record: DNSRecord) -> bool:
        """Say whether a record could belong to the zone."""
        return record.name in self

    def get_records(self, name: str, type: RecordType | None = None) -> tuple[DNSRecord, ...]:
        """Return the records at a name, of one type or all."""
        return self.look_up(full_name(name), type)

    def look_up(self, name: str, type: int | None = None) -> tuple[DNSRecord, ...]:
        """Return the records at a name that is full and in lower case, whatever it is."""
        return tuple(one for one in self._records.get(name, ()) if type is None or one.type == type)

    def replace(self, records: Iterable[DNSRecord]) -> None:
        """Take these records in the place of all others, or change nothing.

        Raises:
            InvalidArgumentError: one is about a name outside of the zone.
        """
        new = list(records)
        for one in new:
            self._check(one)
        self._records, self._above = {}, {}
        for one in new:
            self.add_record(one)

    def _check(self, record: DNSRecord) -> None:
        if record.name not in self:
            raise InvalidArgumentError(argument="record", value=record, expected=f"a name in the zone {self.name}")

    def _count_above(self, name: str, change: int) -> None:
        above = name.partition(".")[2]
        while above and above != self.name and above in self:
            count = self._above.pop(above, 0) + change
            if count:
                self._above[above] = count
            above = above.partition(".")[2]


class DNSStore:
    """Zones by name; a name belongs to the longest zone that contains it."""

    def __init__(self) -> None:
        self._zones: dict[str, DNSZone] = {}

    def __repr__(self) -> str:
        return f"<DNSStore zones={len(self._zones)}>"

    def add_zone(self, zone: DNSZone) -> None:
        """Take a zone.

        Raises:
            InvalidArgumentError: there is one of this name.
        """
        if zone.name in self._zones:
            raise InvalidArgumentError(argument="zone", value=zone, expected="a zone of another name")
        self._zones[zone.name] = zone

    def remove_zone(self, name: str) -> None:
        """Drop a zone.

        Raises:
            InvalidArgumentError: there is none of this name.
        """
        if self._zones.pop(full_name(name), None) is None:
            raise InvalidArgumentError(argument="name", value=name, expected=f"one of {', '.join(self._zones)}")

    def get_zone(self, name: str) -> DNSZone | None:
        """Return the zone of this very name."""
        return self._zones.get(full_name(name))

    def get_zone_for_name(self, name: str) -> DNSZone | None:
        """Return the zone that a name belongs to."""
        return self.find_zone(full_name(name))

    def find_zone(self, name: str) -> DNSZone | None:
        """Return the zone of a name that is full and in lower case, whatever it is."""
        rest = name
        while rest:
            zone = self._zones.get(rest)
            if zone is not None:
                return zone
            rest = rest.partition(".")[2]
        return self._zones.get(".")

    def query(self, name: str, type: RecordType | None = None) -> tuple[DNSRecord, ...]:
        """Return the records at a name, of one type or all."""
        zone = self.get_zone_for_name(name)
        return () if zone is None else zone.get_records(name, type)

    def replace(self, zones: Mapping[str, Iterable[DNSRecord]]) -> None:
        """Take these zones in the place of all others, or change nothing.

        Raises:
            InvalidArgumentError: a record is about a name outside of its zone.
        """
        made = [DNSZone(name, *records) for name, records in zones.items()]
        self._zones = {one.name: one for one in made}

    @staticmethod
    def get_reverse_tuple(name: str) -> tuple[str, ...]:
        """Return the labels of a name, from the right."""
        return tuple(reversed(full_name(name)[:-1].split("."))) if full_name(name) != "." else ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a store says to a question; `authority` is the zone's SOA when there is nothing to say."""

    outcome: Outcome
    records: tuple[DNSRecord, ...] = ()
    authority: tuple[DNSRecord, ...] = ()


def resolve(store: DNSStore, name: str, type: int | None) -> Answer:
    """Answer a question for records of a type (by its number; None for all), following aliases in the store.

    Source: RFC 1034, section 4.3.2; RFC 2308 for what there is not; wildcards are not known.
    """
    found: list[DNSRecord] = []
    asked: set[str] = set()
    while name not in asked and len(asked) < _LONGEST_CHAIN:
        asked.add(name)
        zone = store.find_zone(name)
        if zone is None:
            return Answer("found" if found else "not mine", tuple(found))
        here = zone.look_up(name)
        wanted = [one for one in here if type is None or one.type == type]
        alias = [one for one in here if one.type is RecordType.CNAME]
        found += wanted or alias
        if not wanted and not alias:
            soa = zone.look_up(zone.name, RecordType.SOA)
            return Answer("no data" if zone.has_name(name) else "no such name", tuple(found), soa)
        if wanted:
            break
        name = str(alias[0].data[0])
    return Answer("found", tuple(found))
