"""DataFrames on their way into a table."""

from datetime import UTC, datetime
from typing import Any

import pytest

from mainspring.storage._clickhouse_info import with_moments_in
from mainspring.storage._clickhouse_values import converter

pytestmark = pytest.mark.extras

pd: Any = pytest.importorskip("pandas")  # Any: it has no types of its own


def test_only_texts_in_columns_of_dates_are_changed_and_the_frame_stays_as_it_was() -> None:
    df = pd.DataFrame({"name": ["2024-01-01"], "at": ["2024-01-01 10:00:00"], "then": [pd.Timestamp(2024, 1, 1)]})
    converters = [None, converter("at", "DateTime", UTC), converter("then", "DateTime", UTC)]
    changed = with_moments_in(df, converters)
    assert datetime(2024, 1, 1, 10, tzinfo=UTC) == changed["at"][0]
    assert "2024-01-01 10:00:00" == df["at"][0]
    assert "2024-01-01" == changed["name"][0]
    assert with_moments_in(df[["name", "then"]], converters[:1] + converters[2:]) is not changed


def test_missing_values_stay_missing() -> None:
    df = pd.DataFrame({"at": ["2024-01-01", None]})
    changed = with_moments_in(df, [converter("at", "Nullable(DateTime)", UTC)])
    assert datetime(2024, 1, 1, tzinfo=UTC) == changed["at"][0]
    assert changed["at"].isna()[1]
