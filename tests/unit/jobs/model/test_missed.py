"""Time that passed: every policy accounts for every interval, once."""

from datetime import UTC, datetime, timedelta

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.jobs.model import (
    At,
    DataInterval,
    Every,
    Missed,
    MissedPlan,
    first_cursor,
    jitter_of,
    missed_lookback,
    missed_policy,
    plan_missed,
)

_T0 = datetime(2013, 1, 1, tzinfo=UTC)
_HOURLY = Every(3600, anchor=_T0)


def _at(hours: float) -> datetime:
    return _T0 + timedelta(hours=hours)


def _interval(low: float, high: float) -> DataInterval:
    return DataInterval(_at(low), _at(high))


@pytest.mark.parametrize("policy", list(Missed))
@pytest.mark.parametrize("passed", [0.5, 1.0, 1.5, 7.25])
def test_runs_and_skips_tile_what_lies_behind_the_cursor(policy: Missed, passed: float) -> None:
    plan = plan_missed(_HOURLY, cursor=_T0, now=_at(passed), policy=policy)
    parts = sorted([*(run.interval for run in plan.runs if run.interval), *plan.skipped], key=lambda one: one.start)
    edges = [_T0, *(part.end for part in parts)]
    assert [part.start for part in parts] == edges[:-1]
    assert edges[-1] == plan.cursor == _at(int(passed))


def test_all_runs_each_oldest_first() -> None:
    plan = plan_missed(_HOURLY, cursor=_T0, now=_at(3), policy=Missed.ALL)
    assert [_interval(0, 1), _interval(1, 2), _interval(2, 3)] == [run.interval for run in plan.runs]


def test_all_leaves_what_is_over_the_limit_for_the_next_call() -> None:
    plan = plan_missed(_HOURLY, cursor=_T0, now=_at(10), policy=Missed.ALL, limit=4)
    assert len(plan.runs) == 4
    assert plan.cursor == _at(4)


def test_latest_runs_the_newest_and_skips_the_rest_as_one() -> None:
    plan = plan_missed(_HOURLY, cursor=_T0, now=_at(5), policy=Missed.LATEST)
    assert [_interval(4, 5)] == [run.interval for run in plan.runs]
    assert (_interval(0, 4),) == plan.skipped


def test_merge_is_one_run_over_the_gap() -> None:
    plan = plan_missed(_HOURLY, cursor=_T0, now=_at(5.5), policy=Missed.MERGE)
    assert [_interval(0, 5)] == [run.interval for run in plan.runs]


def test_skip_runs_no_fire_that_is_late_however_few_there_are() -> None:
    assert len(plan_missed(_HOURLY, cursor=_T0, now=_at(1.01), policy=Missed.SKIP).runs) == 1
    for passed in (1, 2, 7):
        plan = plan_missed(_HOURLY, cursor=_T0, now=_at(passed + 0.5), policy=Missed.SKIP)
        assert ((), (_interval(0, passed),)) == (plan.runs, plan.skipped)


@pytest.mark.parametrize("policy", [Missed.ALL, Missed.LATEST])
def test_what_is_older_than_the_lookback_is_skipped(policy: Missed) -> None:
    plan = plan_missed(_HOURLY, cursor=_T0, now=_at(10), policy=policy, max_lookback=2.5 * 3600)
    assert plan.skipped[0].start == _T0
    assert plan.runs[-1].interval == _interval(9, 10)


def test_a_lookback_that_reaches_behind_the_cursor_skips_nothing() -> None:
    plan = plan_missed(_HOURLY, cursor=_at(9), now=_at(9.5), policy=Missed.ALL, max_lookback=60)
    assert plan == type(plan)((), (), _at(9))


def test_a_single_instant_has_no_interval_to_run_or_skip() -> None:
    plan = plan_missed(At(_at(1)), cursor=_T0, now=_at(2), policy=Missed.LATEST)
    assert [(_at(1), None)] == [(run.fire, run.interval) for run in plan.runs]
    assert plan.skipped == ()


def test_the_words_of_the_seed_are_translated() -> None:
    assert missed_policy(None) is Missed.LATEST
    assert missed_policy(None, stateful=True) is Missed.ALL
    assert missed_policy("merge", stateful=True) is Missed.MERGE
    assert missed_policy(None, backfill_policy="CATCH_UP") is Missed.ALL
    assert missed_policy(None, backfill_policy="skip") is Missed.LATEST
    assert missed_policy(None, coalesce=True) is Missed.LATEST
    assert missed_policy("all", coalesce=False) is Missed.ALL


@pytest.mark.parametrize(
    "words",
    [
        {"missed": "all", "coalesce": True},
        {"missed": None, "backfill_policy": "catch_up", "coalesce": True},
        {"missed": "sometimes"},
        {"missed": None, "backfill_policy": "run_once"},
    ],
)
def test_contradictions_and_unknown_words_are_refused(words: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError):
        missed_policy(**words)  # type: ignore[arg-type]  # wrong on purpose


def test_jitter_is_the_same_on_every_node_and_stays_below_its_bound() -> None:
    drawn = [jitter_of("load", fire, 30.0) for fire in range(200)]
    assert drawn == [jitter_of("load", fire, 30.0) for fire in range(200)]
    assert 0 <= min(drawn) < 5 < 25 < max(drawn) < 30
    assert jitter_of("load", 1, 0.0) == 0.0


def test_skip_with_a_grace_runs_the_newest_only_while_it_is_on_time() -> None:
    def plan(passed: float) -> MissedPlan:
        return plan_missed(_HOURLY, cursor=_T0, now=_at(passed), policy=Missed.SKIP, grace=360.0)

    assert [_interval(0, 1)] == [run.interval for run in plan(1.1).runs]
    assert ((), (_interval(0, 1),)) == (plan(1.2).runs, plan(1.2).skipped)
    assert [_interval(4, 5)] == [run.interval for run in plan(5.05).runs]
    assert (_interval(0, 4),) == plan(5.05).skipped


def test_what_lookback_and_policy_skip_is_one_range() -> None:
    plan = plan_missed(_HOURLY, cursor=_T0, now=_at(10), policy=Missed.LATEST, max_lookback=4 * 3600)
    assert (_interval(0, 9),) == plan.skipped


def test_a_single_instant_that_came_too_late_is_on_record_as_skipped() -> None:
    plan = plan_missed(At(_at(1)), cursor=_T0, now=_at(9), policy=Missed.LATEST, max_lookback=60)
    assert ((), (_interval(0, 1),)) == (plan.runs, plan.skipped)


def test_a_changed_schedule_begins_where_the_old_one_ended() -> None:
    plan = plan_missed(Every(6 * 3600, anchor=_T0), cursor=_at(4), now=_at(12), policy=Missed.ALL)
    assert [_interval(4, 6), _interval(6, 12)] == [run.interval for run in plan.runs]


def test_the_seeds_grace_is_a_lookback() -> None:
    assert missed_lookback(None, None) is None
    assert 10 == missed_lookback(None, 10) == missed_lookback(10, None) == missed_lookback(10, 10)
    with pytest.raises(InvalidArgumentError, match="means the same"):
        missed_lookback(10, 20)
    for too_small in (0, -1):
        with pytest.raises(InvalidArgumentError, match="> 0"):
            missed_lookback(None, too_small)


def test_a_new_job_starts_with_the_interval_that_holds_now() -> None:
    assert _at(2) == first_cursor(_HOURLY, _at(2.5))
    assert _at(2) == first_cursor(_HOURLY, _at(2))
    assert _at(0.5) == first_cursor(At(_at(1)), _at(0.5))
    assert _at(1) == first_cursor(At(_at(1)), _at(5))  # it has passed: never run


def test_a_new_job_with_a_delay_starts_with_what_is_not_due_yet() -> None:
    assert _at(1) == first_cursor(_HOURLY, _at(2.5), delay=1800 + 1)
    assert _at(2) == first_cursor(_HOURLY, _at(2.5), delay=1800)  # due right now: nobody was there to run it
    assert _at(1) > first_cursor(At(_at(1)), _at(1.1), delay=600)
    assert _at(2) == first_cursor(_HOURLY, _at(9), start_at=_at(2), delay=1800)


def test_a_new_job_with_a_start_begins_with_its_first_whole_interval() -> None:
    assert _at(2) == first_cursor(_HOURLY, _at(9), start_at=_at(2))
    assert _at(3) == first_cursor(_HOURLY, _at(9), start_at=_at(2.5))
    cursor = first_cursor(At(_at(1)), _at(9), start_at=_at(1))
    assert 1 == len(plan_missed(At(_at(1)), cursor=cursor, now=_at(9), policy=Missed.ALL).runs)
