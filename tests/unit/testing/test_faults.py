"""FailNth counts calls and fails the chosen ones, wherever they are made."""

from typing import Any

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.testing import FailNth


class _Store:
    def __init__(self) -> None:
        self.rows: list[int] = []

    def write(self, row: int) -> int:
        """Write a row."""
        self.rows.append(row)
        return row

    async def commit(self) -> int:
        self.rows.append(-1)
        return len(self.rows)

    @staticmethod
    def version() -> int:
        return 3

    @classmethod
    def create(cls) -> "_Store":
        return cls()


def test_only_the_nth_call_fails_and_nothing_of_it_happens() -> None:
    store, fault = _Store(), FailNth(OSError("full"), 2)
    write = fault.wrap(store.write)
    assert write(1) == 1
    with pytest.raises(OSError, match="full"):
        write(2)
    assert write(3) == 3
    assert store.rows == [1, 3]
    assert (fault.calls, fault.failures) == (3, 1)
    assert repr(fault) == "<FailNth OSError('full') n=2 calls=3 failures=1>"
    assert write.__doc__ == "Write a row."


async def test_an_answer_may_be_lost_after_the_call() -> None:
    store, fault = _Store(), FailNth(ConnectionError, 1, moment="after")
    with pytest.raises(ConnectionError):
        await fault.wrap(store.commit)()
    assert store.rows == [-1]
    assert await fault.wrap(store.commit)() == 2


def test_several_calls_or_all_may_fail() -> None:
    for times, expected in ((2, [True, False, False, True]), (None, [True, False, False, False])):
        call = FailNth(ValueError, 2, times=times).wrap(bool)
        assert expected == [_succeeds(call) for _ in range(4)]


def _succeeds(call: Any) -> bool:
    try:
        call()
    except ValueError:
        return False
    return True


def test_without_a_number_it_only_counts() -> None:
    fault = FailNth(OSError, None)
    for _ in range(3):
        fault.wrap(len)("")
    assert (fault.calls, fault.failures) == (3, 0)


def test_an_error_of_the_call_itself_goes_up() -> None:
    with pytest.raises(TypeError):
        FailNth(OSError, 1, moment="after").wrap(len)(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the fault to test


@pytest.mark.parametrize("target", [_Store(), _Store])
def test_patch_wraps_a_method_and_puts_it_back(target: Any) -> None:
    before: list[str] = [*target.__dict__]
    store = target if isinstance(target, _Store) else _Store()
    with FailNth(OSError, 2).patch(target, "write"):
        store.write(1)
        with pytest.raises(OSError, match=r"^$"):
            store.write(2)
    assert store.write(3) == 3
    assert before == [*target.__dict__]


def test_patch_knows_static_and_class_methods() -> None:
    with FailNth(OSError, 2).patch(_Store, "version") as fault, fault.patch(_Store, "create"):
        assert _Store.version() == 3
        with pytest.raises(OSError, match=r"^$"):
            _Store.create()
        assert isinstance(_Store.create(), _Store)
    assert isinstance(vars(_Store)["version"], staticmethod)


def test_patch_of_an_inherited_method_is_taken_off_again() -> None:
    class Special(_Store):
        pass

    with FailNth(OSError, 1).patch(Special, "write"), pytest.raises(OSError, match=r"^$"):
        Special().write(1)
    assert "write" not in vars(Special)
    with pytest.raises(AttributeError), FailNth(OSError, 1).patch(Special, "no_such"):
        pass


@pytest.mark.parametrize("arguments", [{"n": 0}, {"n": 1, "times": 0}, {"n": 1, "moment": "during"}])
def test_arguments_are_checked(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        FailNth(OSError, **arguments)
