"""`UDPDNSServer` and `TCPDNSServer`: a store of zones answers questions (extra `dns`)."""

import asyncio
import logging
from typing import Any, Final

from mainspring.base import load_extra
from mainspring.resilience import timeout
from mainspring.services._dns_records import DNSRecord, RecordType
from mainspring.services._dns_store import Answer, DNSStore, resolve
from mainspring.services._tcp_server import TCPServer
from mainspring.services._udp_server import UDPServer

log = logging.getLogger(__name__)

_HEADER_BYTES: Final = 12
_PLAIN_UDP_BYTES: Final = 512
_OUR_UDP_BYTES: Final = 1232  # fits each path's packets
_LONGEST_UDP: Final = 65_507
_LONGEST_TCP: Final = 65_535
_ANY: Final = 255
_CLASSES: Final = (1, _ANY)  # of the Internet; records of others are none of ours
_TRANSFERS: Final = (251, 252)
_OPT: Final = 41
_FORMAT_ERROR: Final = 1
_SERVER_FAILURE: Final = 2
_NOT_IMPLEMENTED: Final = 4
_REFUSED: Final = 5
_BAD_VERSION_HIGH: Final = 1  # the upper bits of 16, which travel in the options
_RCODES: Final = {"found": 0, "no data": 0, "no such name": 3, "not mine": 5}


def answer_query(store: DNSStore, query: bytes, *, over_udp: bool) -> bytes | None:
    """Return the answer to a question as it came; None for what deserves none. Never raises.

    An answer that is longer than the client takes over UDP, or than fits over TCP, comes empty, with the bit that
    says so.

    Source: RFC 6891 for the options of clients, RFC 5936 for the refusal of transfers.
    """
    dnslib = _library()
    if len(query) < _HEADER_BYTES or query[2] & 0x80:  # no question: answers to answers would go on for ever
        return None
    try:
        asked = dnslib.DNSRecord.parse(query)
    except Exception as error:  # noqa: BLE001  # supervisor: strangers send anything
        log.debug("a question that cannot be read: %s", error)
        return _refusal(query, _FORMAT_ERROR)
    if asked.header.opcode != 0:
        return _refusal(query, _NOT_IMPLEMENTED)
    options = [one for one in asked.ar if one.rtype == _OPT]
    if len(asked.questions) != 1 or len(options) > 1:
        return _refusal(query, _FORMAT_ERROR)
    if asked.q.qclass not in _CLASSES or asked.q.qtype in _TRANSFERS:
        return _refusal(query, _REFUSED)
    try:
        return _pack(asked, options[0] if options else None, store, over_udp)
    except Exception as error:  # supervisor: one bad record is not the others'
        log.error("the question for %s was not answered", asked.q.qname, exc_info=error)
        return _refusal(query, _SERVER_FAILURE)


def _library() -> Any:  # Any: dnslib has no types
    return load_extra("dnslib", feature="a DNS server", extra="dns")


def _refusal(query: bytes, code: int) -> bytes:
    """Return a header that says no: the number of the question, its opcode, and the code."""
    return query[:2] + bytes((0x80 | query[2] & 0x79, code)) + bytes(8)


def _pack(asked: Any, options: Any, store: DNSStore, over_udp: bool) -> bytes:
    if options is not None and options.edns_ver > 0:
        refusal = asked.reply(ra=0, aa=0)
        refusal.add_ar(_library().EDNS0(udp_len=_OUR_UDP_BYTES, ext_rcode=_BAD_VERSION_HIGH))
        return bytes(refusal.pack())
    name, type = str(asked.q.qname), asked.q.qtype
    answer = resolve(store, name.lower(), None if type == _ANY else type)
    with_options = options is not None
    packed = _reply(asked, answer, with_options=with_options).pack()
    taken = max(_PLAIN_UDP_BYTES, options.edns_len if with_options else 0)
    if len(packed) > (min(taken, _LONGEST_UDP) if over_udp else _LONGEST_TCP):
        short = _reply(asked, Answer(answer.outcome), with_options=with_options)
        short.header.set_tc(1)
        packed = short.pack()
    return bytes(packed)


def _reply(asked: Any, answer: Answer, *, with_options: bool) -> Any:
    dnslib = _library()
    reply = asked.reply(ra=0, aa=answer.outcome != "not mine")
    reply.header.set_rcode(_RCODES[answer.outcome])
    own = str(asked.q.qname)
    for record in answer.records:
        # as it was asked for: some clients play with upper case to know their answers
        reply.add_answer(_resource(record, own if record.name == own.lower() else record.name))
    for record in answer.authority:
        reply.add_auth(_resource(record, record.name))
    if with_options:
        reply.add_ar(dnslib.EDNS0(udp_len=_OUR_UDP_BYTES))
    return reply


def _resource(record: DNSRecord, name: str) -> Any:
    made = _rdata(record)
    return _library().RR(name, record.type.value, rclass=record.cls, ttl=record.ttl, rdata=made)


def _rdata(record: DNSRecord) -> Any:
    """Return the fields of a record in the form that dnslib packs."""
    kind = getattr(_library(), record.type.name)
    fields: tuple[Any, ...] = record.data  # Any: of many types
    if record.type is RecordType.HTTPS:
        return kind.fromZone([str(fields[0]), fields[1], *fields[2]])
    if record.type is RecordType.NAPTR:
        return kind(*fields[:2], *(str(one).encode() for one in fields[2:5]), fields[5])
    if record.type is RecordType.SOA:
        return kind(*fields)
    # dnslib wants texts and types as lists
    return kind(*(list(one) if type(one) is tuple else one for one in fields))  # pyright: ignore[reportUnknownArgumentType]  # see above


class UDPDNSServer(UDPServer):
    """Answers DNS questions over UDP from a store of zones; see `UDPServer`.

    Attributes:
        store: the zones; it may change while the server runs.

    Raises:
        MissingExtraError: (from the start) the extra `dns` is not installed.
    """

    __required__ = ("store",)

    store: DNSStore

    async def start(self) -> None:
        """Listen, and return."""
        _library()
        await super().start()

    def handle_datagram(self, data: bytes, addr: Any) -> None:
        """Answer one question."""
        answer = answer_query(self.store, data, over_udp=True)
        if answer is not None:
            self.sendto(answer, addr)


class TCPDNSServer(TCPServer):
    """Answers DNS questions over TCP from a store of zones; see `TCPServer`.

    Attributes:
        store: the zones; it may change while the server runs.
        idle_timeout: seconds that a client has for its next question.

    Raises:
        MissingExtraError: (from the start) the extra `dns` is not installed.

    Source: RFC 7766.
    """

    __required__ = ("store",)

    store: DNSStore
    idle_timeout: float = 10.0

    async def start(self) -> None:
        """Listen, and return."""
        _library()
        await super().start()

    async def handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer questions until the client leaves."""
        while True:
            try:
                async with timeout(self.idle_timeout):
                    length = int.from_bytes(await reader.readexactly(2), "big")
                    query = await reader.readexactly(length)
            except (asyncio.IncompleteReadError, TimeoutError):
                return
            answer = answer_query(self.store, query, over_udp=False)
            if answer is None:
                return
            writer.write(len(answer).to_bytes(2, "big") + answer)
            await writer.drain()
