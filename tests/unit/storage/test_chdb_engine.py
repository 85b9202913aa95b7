"""The embedded engine itself, loaded where it may be: in a child."""

import pytest

from mainspring.testing import PythonChild

pytestmark = pytest.mark.extras

CODE = """
import sys
from mainspring.errors import ClickHouseRefusedError
from mainspring.storage._engine_call import read_call
from mainspring.storage.chdb_engine import EngineConnection

connection = EngineConnection(sys.argv[1])
connection.prepare(read_call({}, b"SELECT 1"))
empty = read_call({"param_x": "1"}, b"SELECT 1 AS a, 'x' AS `it's` WHERE {x:Int64} = 2 FORMAT Native")
print("columns", list(connection.stream(empty)))
wide = ", ".join(f"1 AS a{number}" for number in range(200))
print("many", next(connection.stream(read_call({}, f"SELECT {wide} WHERE 0 FORMAT Native".encode())))[:3])
print("blocks", len(list(connection.stream(read_call({}, b"SELECT number FROM numbers(200000) FORMAT CSV")))) > 1)
print("none", list(connection.stream(read_call({}, b"SELECT 1 WHERE 0 FORMAT CSV"))))
for sql in (b"SELECT nope FORMAT Native", b"SELECT , FROM"):
    try:
        call = read_call({}, sql)
        list(connection.stream(call)) if call.streams else connection.answer(call)
    except ClickHouseRefusedError as error:
        print("code", error.code)
try:
    connection.inserter(read_call({}, b"INSERT INTO nowhere FORMAT CSV\\n1"))
except ClickHouseRefusedError as error:
    print("insert", error.code)
try:
    EngineConnection("/dev/null/x")
except ClickHouseRefusedError as error:
    print("open", bool(str(error)))
connection.close()
print("end")
"""


async def test_engine_answers_streams_and_refuses(tmp_path: object) -> None:
    async with PythonChild("-c", CODE, f"{tmp_path}/data") as child:
        await child.line("end", within=60.0)
        assert 0 == await child.wait()
        wanted = [
            r"columns [b\"\x02\x00\x01a\x05UInt8\x04it's\x06String\"]",
            r"many b'\xc8\x01\x00'",
            "blocks True",
            "none []",
            "code 47",
            "code 62",
            "insert 60",
            "open True",
            "end",
        ]
        assert [line.replace('\\"', '"') for line in wanted] == child.lines
