import fcntl
from pathlib import Path

from mainspring.jobs.stores._sqlite_locks import Graveyard, NodeLock, boot_id, look, remove


def test_a_lock_says_whether_its_holder_lives(tmp_path: Path) -> None:
    lock = NodeLock(tmp_path / "jobs.db")
    other = NodeLock(tmp_path / "jobs.db")
    assert look(lock.path) == "held"
    lock.release()
    lock.release()
    assert look(lock.path) == "missing"
    other.release()
    assert not other.path.parent.exists()


def test_a_file_that_nobody_locks_is_free(tmp_path: Path) -> None:
    path = tmp_path / "nodes" / "a.lock"
    path.parent.mkdir()
    path.touch()
    assert look(path) == "free"
    remove(path)
    assert look(path) == "missing"
    remove(path)


def test_a_death_is_told_once(tmp_path: Path) -> None:
    graveyard = Graveyard(tmp_path / "jobs.db")
    assert not graveyard.grew()
    living = NodeLock(tmp_path / "jobs.db")
    assert not graveyard.grew()
    dead = living.path.with_name("dead.lock")
    dead.touch()  # as a killed process leaves it
    assert [True, False] == [graveyard.grew(), graveyard.grew()]
    remove(dead)
    living.path.with_name("not yet locked.new").touch()
    assert not graveyard.grew()
    dead.touch()
    assert graveyard.grew()
    living.release()


def test_those_who_look_do_not_stand_in_each_others_way(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with path.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        assert look(path) == "free"


def test_a_boot_has_a_name_everywhere(tmp_path: Path) -> None:
    assert boot_id() == boot_id()
    assert boot_id(tmp_path / "missing").startswith("host ")
