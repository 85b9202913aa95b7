"""A crashed worker is described by what is known of its end."""

import pytest

from mainspring.errors import WorkerCrashedError


@pytest.mark.parametrize(
    ("exit_code", "signal", "said"),
    [(3, None, "exited with 3"), (None, "SIGKILL", "was ended by SIGKILL"), (None, None, "nobody knows how")],
)
def test_the_end_of_a_worker_is_named(exit_code: int | None, signal: str | None, said: str) -> None:
    error = WorkerCrashedError(task="f", pid=1, exit_code=exit_code, signal=signal)
    assert said in str(error)
