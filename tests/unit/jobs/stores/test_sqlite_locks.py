from pathlib import Path

from mainspring.jobs.stores._sqlite_locks import NodeLock, boot_id, look, remove


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


def test_a_boot_has_a_name_everywhere(tmp_path: Path) -> None:
    assert boot_id() == boot_id()
    assert boot_id(tmp_path / "missing").startswith("host ")
