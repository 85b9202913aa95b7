"""ClickHouse's HTTP interface over the embedded engine, asked without a driver."""

import gzip
import json
import socket
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64encode
from typing import Any  # Any: headers by name, or none

import pytest

from mainspring.testing import ClickHouseServer

pytestmark = pytest.mark.extras


def ask(
    server: ClickHouseServer, body: bytes = b"", *, headers: Any = None, **arguments: str
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of an answer."""
    url = f"http://127.0.0.1:{server.port}/?{urllib.parse.urlencode(arguments)}"
    known = {"X-ClickHouse-Key": server.options["password"]}
    request = urllib.request.Request(url, body, headers=known if headers is None else headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def test_ping_needs_no_password(clickhouse_server: ClickHouseServer) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{clickhouse_server.port}/ping", timeout=60) as answer:
        assert b"Ok.\n" == answer.read()


def test_password_may_come_in_three_places(clickhouse_server: ClickHouseServer) -> None:
    password = clickhouse_server.options["password"]
    basic = "Basic " + b64encode(f"default:{password}".encode()).decode()
    assert 200 == ask(clickhouse_server, b"SELECT 1", headers={"Authorization": basic})[0]
    assert 200 == ask(clickhouse_server, b"SELECT 1", headers={}, password=password)[0]
    for headers in ({}, {"X-ClickHouse-Key": "wrong"}, {"Authorization": "Basic !"}):
        status, found, _ = ask(clickhouse_server, b"SELECT 1", headers=headers)
        assert (403, "516") == (status, found["X-ClickHouse-Exception-Code"])


def test_an_answer_names_its_format_and_a_command_has_none(clickhouse_server: ClickHouseServer) -> None:
    _, headers, body = ask(clickhouse_server, b"SELECT 1 AS a, 'x'")
    assert ("TabSeparated", b"1\tx\n") == (headers["X-ClickHouse-Format"], body)
    _, headers, body = ask(clickhouse_server, b"CREATE TABLE server_t (a Int64) ENGINE = Memory")
    assert "X-ClickHouse-Format" not in headers
    assert b"" == body
    _, headers, _ = ask(clickhouse_server, b"INSERT INTO server_t VALUES (1), (2)")
    assert "2" == json.loads(headers["X-ClickHouse-Summary"])["written_rows"]
    assert b"DROP" not in ask(clickhouse_server, b"DROP TABLE server_t")[2]


def test_insert_takes_a_large_compressed_body(clickhouse_server: ClickHouseServer) -> None:
    ask(clickhouse_server, b"CREATE TABLE server_large (a Int64, b String) ENGINE = Memory")
    lines = "".join(f"{number},{'x' * 20}\n" for number in range(200_000)).encode()
    password = clickhouse_server.options["password"]
    headers = {"X-ClickHouse-Key": password, "Content-Encoding": "gzip"}
    _, found, _ = ask(
        clickhouse_server, gzip.compress(lines), headers=headers, query="INSERT INTO server_large FORMAT CSV"
    )
    assert "200000" == json.loads(found["X-ClickHouse-Summary"])["written_rows"]
    assert b"200000\n" == ask(clickhouse_server, b"SELECT count() FROM server_large")[2]


def test_a_refused_insert_says_why_and_the_next_one_works(clickhouse_server: ClickHouseServer) -> None:
    ask(clickhouse_server, b"CREATE TABLE server_bad (a Int64) ENGINE = Memory")
    status, headers, body = ask(clickhouse_server, b"INSERT INTO server_bad FORMAT CSV\nabc\n")
    assert 500 == status
    assert b"DB::Exception" in body
    assert int(headers["X-ClickHouse-Exception-Code"]) > 0
    assert 404 == ask(clickhouse_server, b"INSERT INTO server_none FORMAT CSV\n1\n")[0]
    assert 200 == ask(clickhouse_server, b"INSERT INTO server_bad FORMAT CSV\n1\n")[0]


def test_parameters_settings_and_database_are_those_of_one_statement(clickhouse_server: ClickHouseServer) -> None:
    sql = b"SELECT {x:String}, getSetting('max_threads'), currentDatabase()"
    assert b"a-b\t3\tsystem\n" == ask(clickhouse_server, sql, param_x="a-b", max_threads="3", database="system")[2]
    for _ in range(8):  # on whichever connection
        assert b"\t3\t" not in ask(clickhouse_server, sql, param_x="y")[2]
        assert ask(clickhouse_server, sql, param_x="y")[2].endswith(b"\tdefault\n")


def test_a_strange_or_unknown_setting_is_refused(clickhouse_server: ClickHouseServer) -> None:
    assert "36" == ask(clickhouse_server, b"SELECT 1", headers=None, **{"a b": "1"})[1]["X-ClickHouse-Exception-Code"]
    assert "115" == ask(clickhouse_server, b"SELECT 1", no_such_setting="1")[1]["X-ClickHouse-Exception-Code"]
    headers = {"X-ClickHouse-Key": clickhouse_server.options["password"], "Content-Encoding": "br"}
    assert "36" == ask(clickhouse_server, b"x", headers=headers)[1]["X-ClickHouse-Exception-Code"]


def test_an_error_before_the_first_block_has_a_status_and_one_after_it_a_mark(
    clickhouse_server: ClickHouseServer,
) -> None:
    assert 404 == ask(clickhouse_server, b"SELECT nope FORMAT Native")[0]
    sql = b"SELECT throwIf(number = 3000000, 'boom') FROM numbers(5000000) SETTINGS max_threads = 1 FORMAT CSV"
    status, headers, body = ask(clickhouse_server, sql)
    assert 200 == status
    assert f"__exception__\r\n{headers['X-ClickHouse-Exception-Tag']}".encode() in body
    assert b"boom" in body


def test_a_form_may_hold_the_statement_but_no_files(clickhouse_server: ClickHouseServer) -> None:
    key = {"X-ClickHouse-Key": clickhouse_server.options["password"]}
    headers = {**key, "Content-Type": "multipart/form-data; boundary=b"}

    def form(*parts: str) -> bytes:
        return "".join(f"--b\r\nContent-Disposition: form-data; {part}\r\n" for part in parts).encode() + b"--b--\r\n"

    body = form('name="query"\r\n\r\nSELECT {x:Int64}', 'name="param_x"\r\n\r\n41')
    assert b"41\n" == ask(clickhouse_server, body, headers=headers)[2]
    body = form('name="t"; filename="t"\r\nContent-Type: text/plain\r\n\r\n1')
    assert b"external data" in ask(clickhouse_server, body, headers=headers)[2]


def test_a_client_that_leaves_in_the_middle_frees_its_connection(clickhouse_server: ClickHouseServer) -> None:
    for _ in range(8):
        request = urllib.request.Request(
            f"http://127.0.0.1:{clickhouse_server.port}/",
            b"SELECT number FROM numbers(100000000) FORMAT CSV",
            headers={"X-ClickHouse-Key": clickhouse_server.options["password"]},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.read(1000)
    assert b"1\n" == ask(clickhouse_server, b"SELECT 1")[2]


def test_a_statement_without_end_is_refused_and_a_long_one_is_read_whole(clickhouse_server: ClickHouseServer) -> None:
    assert 200 == ask(clickhouse_server, b"SELECT 1" + b" " * (3 << 20))[0]
    status, headers, _ = ask(clickhouse_server, b"SELECT 1" + b" " * (66 << 20))
    assert (500, "36") == (status, headers["X-ClickHouse-Exception-Code"])


def test_an_insert_whose_first_piece_is_only_its_statement_is_read_whole(clickhouse_server: ClickHouseServer) -> None:
    ask(clickhouse_server, b"CREATE TABLE server_pieces (a String) ENGINE = Memory")
    with socket.create_connection(("127.0.0.1", clickhouse_server.port), timeout=60) as connection:
        head = (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            f"X-ClickHouse-Key: {clickhouse_server.options['password']}\r\n\r\n"
        )
        connection.sendall(head.encode())
        for piece in (b"INSERT INTO server_pieces ", b"FORMAT CSV\n", b"one\n", b"two\n"):
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")
        assert b"200 OK" in connection.recv(1000)
    assert b"one\ntwo\n" == ask(clickhouse_server, b"SELECT a FROM server_pieces ORDER BY a")[2]
