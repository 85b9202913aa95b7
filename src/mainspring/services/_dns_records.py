"""Records of a DNS zone, pure: what they are, not how they travel."""

import enum
import ipaddress
from dataclasses import dataclass, field
from typing import ClassVar, Final

from mainspring.errors import InvalidArgumentError

DEFAULT_TTL: Final = 3600
IN: Final = 1  # the class of the Internet
_LONGEST_NAME: Final = 254  # characters with the dot of the root
_LONGEST_LABEL: Final = 63


class RecordType(enum.IntEnum):
    """Types of records, with their numbers on the wire."""

    A = 1
    NS = 2
    CNAME = 5
    SOA = 6
    PTR = 12
    MX = 15
    TXT = 16
    RP = 17
    AAAA = 28
    LOC = 29
    SRV = 33
    NAPTR = 35
    DS = 43
    SSHFP = 44
    RRSIG = 46
    NSEC = 47
    DNSKEY = 48
    TLSA = 52
    HTTPS = 65
    CAA = 257


@dataclass(frozen=True, slots=True)
class DNSRecord:
    """One record; two that differ in their `ttl` only are equal.

    Attributes:
        name: whom it is about, in lower case, with the dot of the root.
        type: what it says.
        data: what it says, field by field.
        cls: 1, the Internet.
        ttl: seconds for which others may remember it.
    """

    name: str
    type: RecordType
    data: tuple[object, ...]
    cls: int = IN
    ttl: int = field(default=DEFAULT_TTL, compare=False)


class RecordKind:
    """Makes records of one type.

    Example:
        >>> DNSRecords.MX.create("Example.org", "mail.example.org", 10).name
        'example.org.'
    """

    def __init__(self, type: RecordType, *fields: str, **defaults: object) -> None:
        self.type = type
        self.fields = fields
        self._defaults = defaults

    def __repr__(self) -> str:
        return f"<RecordKind {self.type.name} ({', '.join(('name', *self.fields))})>"

    def create(self, name: str, *data: object, ttl: int = DEFAULT_TTL, **named: object) -> DNSRecord:
        """Return a record.

        Args:
            name: whom it is about; the dot of the root is added.
            data: the fields of its type, in their order.
            ttl: seconds for which others may remember it.
            named: fields by name.

        Raises:
            InvalidArgumentError: a field is missing or unknown, or a name, an address or `ttl` is none.
        """
        given = {**self._defaults, **dict(zip(self.fields, data, strict=False)), **named}
        if len(data) > len(self.fields) or given.keys() != set(self.fields):
            expected = f"the fields {', '.join(self.fields)}"
            raise InvalidArgumentError(argument=f"a record of type {self.type.name}", value=given, expected=expected)
        if not 0 <= ttl < 1 << 31:
            raise InvalidArgumentError(argument="ttl", value=ttl, expected="seconds from 0 to 2**31 - 1")
        values = tuple(_checked(one, given[one]) for one in self.fields)
        return DNSRecord(full_name(name), self.type, values, ttl=ttl)


def full_name(name: str) -> str:
    """Return a name in lower case and with the dot of the root.

    Raises:
        InvalidArgumentError: a label is empty or longer than 63 characters, or the whole longer than 254.
    """
    full = name.lower() if name.endswith(".") else f"{name.lower()}."
    labels = full[:-1].split(".") if name != "." else []
    if len(full) > _LONGEST_NAME or not all(0 < len(one) <= _LONGEST_LABEL for one in labels):
        raise InvalidArgumentError(
            argument="name", value=name, expected="labels of 1 to 63 characters with dots between"
        )
    return full


def _checked(field: str, value: object) -> object:
    if field in ("ipv4", "ipv6"):
        kind = ipaddress.IPv4Address if field == "ipv4" else ipaddress.IPv6Address
        try:
            return str(kind(str(value)))
        except ValueError as error:
            raise InvalidArgumentError(argument=field, value=value, expected=kind.__name__) from error
    if field in ("label", "target", "mname", "rname", "replacement") and isinstance(value, str):
        return full_name(value)
    return tuple(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # of the user


class DNSRecords:
    """The kinds of records: `DNSRecords.A.create("www.example.org", "192.0.2.1")`."""

    A: ClassVar = RecordKind(RecordType.A, "ipv4")
    AAAA: ClassVar = RecordKind(RecordType.AAAA, "ipv6")
    CAA: ClassVar = RecordKind(RecordType.CAA, "flags", "tag", "value")
    CNAME: ClassVar = RecordKind(RecordType.CNAME, "label")
    DNSKEY: ClassVar = RecordKind(RecordType.DNSKEY, "flags", "protocol", "algorithm", "key")
    DS: ClassVar = RecordKind(RecordType.DS, "key_tag", "algorithm", "digest_type", "digest")
    HTTPS: ClassVar = RecordKind(RecordType.HTTPS, "priority", "target", "params", params=())
    LOC: ClassVar = RecordKind(RecordType.LOC, "lat", "lon", "alt", "siz", "hp", "vp", siz=1.0, hp=10000.0, vp=10.0)
    MX: ClassVar = RecordKind(RecordType.MX, "label", "preference", preference=10)
    NAPTR: ClassVar = RecordKind(
        RecordType.NAPTR, "order", "preference", "flags", "service", "regexp", "replacement", replacement="."
    )
    NS: ClassVar = RecordKind(RecordType.NS, "label")
    NSEC: ClassVar = RecordKind(RecordType.NSEC, "label", "rrlist")
    PTR: ClassVar = RecordKind(RecordType.PTR, "label")
    RP: ClassVar = RecordKind(RecordType.RP, "mbox", "txt")
    RRSIG: ClassVar = RecordKind(
        RecordType.RRSIG,
        *("covered", "algorithm", "labels", "orig_ttl", "sig_exp", "sig_inc", "key_tag", "signer", "sig"),
    )
    SOA: ClassVar = RecordKind(RecordType.SOA, "mname", "rname", "times", times=(1, 3600, 600, 86400, 60))
    SRV: ClassVar = RecordKind(RecordType.SRV, "priority", "weight", "port", "target")
    SSHFP: ClassVar = RecordKind(RecordType.SSHFP, "algorithm", "fp_type", "fingerprint")
    TLSA: ClassVar = RecordKind(RecordType.TLSA, "cert_usage", "selector", "matching_type", "cert_data")
    TXT: ClassVar = RecordKind(RecordType.TXT, "data")
