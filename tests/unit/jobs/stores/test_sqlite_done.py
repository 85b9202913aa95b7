import itertools
import sqlite3

from hypothesis import given
from hypothesis import strategies as st

from mainspring.jobs.stores._done import STRENGTH
from mainspring.jobs.stores._sqlite_done import paint_all
from mainspring.jobs.stores._sqlite_sql import script
from mainspring.storage._sqlite_migrate import statements

MARKS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 6), st.sampled_from(sorted(STRENGTH))), max_size=12)


def ranges(connection: sqlite3.Connection) -> list[tuple[int, int, str]]:
    return connection.execute('SELECT start, "end", state FROM done ORDER BY start').fetchall()


def fresh() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in statements(script("schema_1")):
        connection.execute(statement)
    return connection


@given(MARKS)
def test_painting_is_painting_point_by_point(marks: list[tuple[int, int, str]]) -> None:
    connection = fresh()
    points: dict[int, str] = {}
    for start, length, state in marks:
        paint_all(connection, [("job", start, start + length, state)])
        for point in range(start, start + length):
            if STRENGTH[state] >= STRENGTH.get(points.get(point, ""), 0):
                points[point] = state
    found = ranges(connection)
    assert {p: state for start, end, state in found for p in range(start, end)} == points
    assert all(a[1] < b[0] or a[2] != b[2] for a, b in itertools.pairwise(found))
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(found))
    connection.close()


def test_jobs_have_sets_of_their_own() -> None:
    connection = fresh()
    paint_all(connection, [("a", 1, 2, "failed"), ("b", 0, 1, "skipped"), ("a", 0, 1, "failed")])
    assert ranges(connection) == [(0, 2, "failed"), (0, 1, "skipped")]
    connection.close()


def test_jobs_that_bring_the_same_mark_go_on_each_from_its_own() -> None:
    connection = fresh()
    paint_all(connection, [("fails", 0, 1, "failed"), ("gap", -2, -1, "succeeded"), ("goes on", 0, 1, "succeeded")])
    paint_all(connection, [("ahead", 2, 3, "succeeded"), ("ahead", 0, 1, "succeeded")])
    jobs = ["ahead", "fails", "gap", "goes on", "new"]
    paint_all(connection, [(job_id, 1, 2, "succeeded") for job_id in jobs])
    found = connection.execute('SELECT job_id, start, "end", state FROM done ORDER BY job_id, start').fetchall()
    assert found == [
        ("ahead", 0, 3, "succeeded"),
        ("fails", 0, 1, "failed"),
        ("fails", 1, 2, "succeeded"),
        ("gap", -2, -1, "succeeded"),
        ("gap", 1, 2, "succeeded"),
        ("goes on", 0, 2, "succeeded"),
        ("new", 1, 2, "succeeded"),
    ]
    connection.close()
