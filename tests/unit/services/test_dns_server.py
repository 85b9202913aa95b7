"""DNS over real sockets: answers, what there is not, sizes, and whatever strangers send."""

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.services.support_programs import program

from mainspring.errors import MissingExtraError
from mainspring.services import DNSRecord, DNSRecords, DNSStore, DNSZone, RecordType, TCPDNSServer, UDPDNSServer
from mainspring.services.dns_server import answer_query
from mainspring.testing import eventually

pytestmark = pytest.mark.extras

KINDS = (
    DNSRecords.A.create("all.test", "10.0.0.1"),
    DNSRecords.AAAA.create("all.test", "fd10::10"),
    DNSRecords.CAA.create("all.test", 0, "issue", "ca.test"),
    DNSRecords.DNSKEY.create("all.test", 257, 3, 8, b"key"),
    DNSRecords.DS.create("all.test", 1, 8, 2, b"digest"),
    DNSRecords.HTTPS.create("all.test", 1, "www.test", ["alpn=h3,h2", "port=443"]),
    DNSRecords.LOC.create("all.test", 37.7, -122.4, 10.0),
    DNSRecords.MX.create("all.test", "mail.test", 5),
    DNSRecords.NAPTR.create("all.test", 1, 2, "S", "SIP", "", "sip.test"),
    DNSRecords.NS.create("all.test", "ns.test"),
    DNSRecords.NSEC.create("all.test", "b.test", ["A", "MX"]),
    DNSRecords.PTR.create("all.test", "b.test"),
    DNSRecords.RP.create("all.test", "admin.test", "text.test"),
    DNSRecords.RRSIG.create("all.test", RecordType.A, 8, 2, 3600, 1893456000, 1577836800, 1, "test.", b"sig"),
    DNSRecords.SRV.create("all.test", 1, 2, 80, "www.test"),
    DNSRecords.SSHFP.create("all.test", 1, 1, b"print"),
    DNSRecords.TLSA.create("all.test", 3, 1, 1, b"hash"),
    DNSRecords.TXT.create("all.test", ["one", "two"]),
)


@pytest.fixture
def store() -> DNSStore:
    made = DNSStore()
    zone = DNSZone("test", DNSRecords.SOA.create("test", "ns.test", "admin.test"), *KINDS)
    for number in range(40):
        zone.add_record(DNSRecords.A.create("many.test", f"10.1.0.{number}"))
    zone.add_record(DNSRecord("bad.test.", RecordType.A, ("no address",)))
    made.add_zone(zone)
    return made


@pytest.fixture
async def servers(store: DNSStore) -> AsyncGenerator[tuple[UDPDNSServer, TCPDNSServer]]:
    """Both servers, running."""
    both = UDPDNSServer(store=store, address="127.0.0.1", port=0), TCPDNSServer(store=store, address="::1", port=0)
    async with program(*both):
        yield both


def dnslib() -> Any:  # Any: it has no types
    import dnslib

    return dnslib


def question(name: str, type: str = "A", *, edns: int | None = None) -> Any:
    made = dnslib().DNSRecord.question(name, type)
    if edns is not None:
        made.add_ar(dnslib().EDNS0(udp_len=edns))
    return made


async def over_udp(server: UDPDNSServer, packet: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect((server.address, server.port))
        await loop.sock_sendall(sock, packet)
        return await asyncio.wait_for(loop.sock_recv(sock, 65535), 10)


async def over_tcp(server: TCPDNSServer, *packets: bytes) -> list[bytes]:
    reader, writer = await asyncio.open_connection(server.address, server.port)
    for packet in packets:
        frame = len(packet).to_bytes(2, "big") + packet
        writer.write(frame[:1])
        await asyncio.sleep(0)
        writer.write(frame[1:])
    found = [await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big")) for _ in packets]
    writer.close()
    return found


def read(packet: bytes) -> Any:
    return dnslib().DNSRecord.parse(packet)


Servers = tuple[UDPDNSServer, TCPDNSServer]


@pytest.mark.parametrize("record", KINDS, ids=lambda one: one.type.name)
async def test_each_kind_of_record_travels(servers: Servers, record: DNSRecord) -> None:
    asked = question("all.test", record.type.name)
    answer = read(await over_udp(servers[0], asked.pack()))
    assert (asked.header.id, 1, 0) == (answer.header.id, answer.header.aa, answer.header.ra)
    (found,) = answer.rr
    assert (record.type.name, record.ttl) == (dnslib().QTYPE[found.rtype], found.ttl)


async def test_answers_say_what_was_put_in(servers: Servers) -> None:
    (packet,) = await over_tcp(servers[1], question("all.test", "ANY").pack())
    made = {dnslib().QTYPE[one.rtype]: str(one.rdata) for one in read(packet).rr}
    assert ("10.0.0.1", "fd10::10") == (made["A"], made["AAAA"])
    assert ("5 mail.test.", '"one","two"') == (made["MX"], made["TXT"])
    assert "1 www.test. alpn=h3,h2 port=443" == made["HTTPS"]
    assert '1 2 "S" "SIP" "" sip.test.' == made["NAPTR"]
    assert made["RRSIG"].startswith("A 8 2 3600 20300101000000 20200101000000 1 test. ")
    assert len(KINDS) == len(made)


async def test_the_case_of_the_question_comes_back(servers: Servers) -> None:
    answer = read(await over_udp(servers[0], question("aLL.TesT").pack()))
    assert ["aLL.TesT.", "aLL.TesT."] == [str(answer.q.qname), str(answer.rr[0].rname)]


@pytest.mark.parametrize(
    ("name", "type", "code", "soas"),
    [("all.test", "SPF", 0, 1), ("gone.test", "A", 3, 1), ("example.org", "A", 5, 0), ("contest", "A", 5, 0)],
)
async def test_what_there_is_not_has_its_own_code(servers: Servers, name: str, type: str, code: int, soas: int) -> None:
    for packet in (
        await over_udp(servers[0], question(name, type).pack()),
        (await over_tcp(servers[1], question(name, type).pack()))[0],
    ):
        answer = read(packet)
        assert (code, [], soas) == (answer.header.rcode, answer.rr, len(answer.auth))


async def test_answers_are_cut_at_the_size_of_the_client_and_over_udp_only(servers: Servers) -> None:
    udp, tcp = servers
    for edns, cut in ((None, True), (512, True), (100, True), (4096, False)):
        packet = await over_udp(udp, question("many.test", edns=edns).pack())
        answer = read(packet)
        assert (cut, 0 if cut else 40) == (bool(answer.header.tc), len(answer.rr))
        assert ("many.test.", [41] if edns else []) == (str(answer.q.qname), [one.rtype for one in answer.ar])
    answer = read((await over_tcp(tcp, question("many.test").pack()))[0])
    assert (0, 40) == (answer.header.tc, len(answer.rr))


async def test_an_answer_that_does_not_fit_is_empty_over_tcp_too(servers: Servers, store: DNSStore) -> None:
    zone = store.get_zone("test")
    assert zone is not None
    for number in range(300):
        zone.add_record(DNSRecords.TXT.create("huge.test", f"{number:0250}"))
    for packet in (
        await over_udp(servers[0], question("huge.test", type="TXT", edns=65_535).pack()),
        (await over_tcp(servers[1], question("huge.test", type="TXT").pack()))[0],
    ):
        answer = read(packet)
        assert (0, 1, []) == (answer.header.rcode, answer.header.tc, answer.rr)


async def test_questions_share_a_connection(servers: Servers) -> None:
    packets = [question(name).pack() for name in ("all.test", "gone.test", "many.test")]
    assert [0, 3, 0] == [read(packet).header.rcode for packet in await over_tcp(servers[1], *packets)]


async def test_a_client_that_asks_nothing_is_dropped(store: DNSStore) -> None:
    server = TCPDNSServer(store=store, address="127.0.0.1", port=0, idle_timeout=0.05)
    async with program(server):
        for nonsense in (b"", b"\x00", b"\x00\xffhalf", b"\x00\x03abc"):
            reader, writer = await asyncio.open_connection(server.address, server.port)
            writer.write(nonsense)
            assert b"" == await reader.read()
            writer.close()
        await eventually(lambda: server.connection_count == 0)


async def test_a_bad_record_is_a_failure_of_the_server(servers: Servers, caplog: pytest.LogCaptureFixture) -> None:
    assert 2 == read(await over_udp(servers[0], question("bad.test").pack())).header.rcode
    assert "the question for bad.test. was not answered" in caplog.text
    assert 0 == read(await over_udp(servers[0], question("all.test").pack())).header.rcode


async def test_what_is_no_single_question_is_refused(servers: Servers, caplog: pytest.LogCaptureFixture) -> None:
    two = question("all.test")
    two.add_question(two.q)
    status = question("all.test")
    status.header.opcode = 2
    broken = question("all.test").pack()[:-3]
    with caplog.at_level(logging.DEBUG, logger="mainspring.services"):
        codes = [(await over_udp(servers[0], packet))[3] & 15 for packet in (two.pack(), status.pack(), broken)]
    assert [1, 4, 1] == codes
    assert "a question that cannot be read" in caplog.text


def test_what_is_not_of_the_internet_and_whole_zones_are_refused(store: DNSStore) -> None:
    chaos, transfer = question("all.test"), question("test", type="AXFR")
    chaos.q.qclass = 3
    for asked in (chaos, transfer):
        assert (5, 0) == _code_and_count(answer_query(store, asked.pack(), over_udp=False))
    chaos.q.qclass = 255
    assert (0, 1) == _code_and_count(answer_query(store, chaos.pack(), over_udp=False))


def test_options_of_a_later_version_and_two_of_them_are_refused(store: DNSStore) -> None:
    import dnslib

    later = question("all.test")
    later.add_ar(dnslib.EDNS0(version=1))
    answer = read(answer_query(store, later.pack(), over_udp=True) or b"")
    assert (0, [], [1]) == (answer.header.rcode, answer.rr, [one.edns_rcode for one in answer.ar])
    twice = question("all.test", edns=1232)
    twice.add_ar(dnslib.EDNS0())
    assert (1, 0) == _code_and_count(answer_query(store, twice.pack(), over_udp=True))


def _code_and_count(packet: bytes | None) -> tuple[int, int]:
    answer = read(packet or b"")
    return answer.header.rcode, len(answer.rr)


def test_answers_are_not_answered(store: DNSStore) -> None:
    asked = question("all.test")
    assert answer_query(store, asked.reply().pack(), over_udp=True) is None
    assert answer_query(store, b"short", over_udp=True) is None


@given(packet=st.binary(max_size=100), over_udp=st.booleans())
def test_no_bytes_of_strangers_do_harm(packet: bytes, over_udp: bool) -> None:
    answer = answer_query(DNSStore(), packet, over_udp=over_udp)
    assert answer is None or (packet[:2] == answer[:2] and answer[2] & 0x80)


async def test_without_the_extra_the_start_says_which(store: DNSStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "dnslib", None)
    for server in (UDPDNSServer(store=store, address="::1", port=0), TCPDNSServer(store=store, address="::1", port=0)):
        with pytest.raises(MissingExtraError, match="a DNS server needs the module 'dnslib'"):
            async with program(server):
                raise NotImplementedError
