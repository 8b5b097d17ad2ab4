"""What tells the time is named before a training: clocks, dates of two readings, placeholders."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from vae_anomaly.data.doctor import check_table

N = 1200
RNG = np.random.default_rng(0)
DAYS = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(RNG.integers(0, 300, N), unit="D"))
SOUND = pd.DataFrame({"amount": RNG.normal(50, 9, N)})


def found(values: object, code: str) -> list[str]:
    report = check_table(SOUND.assign(at=values))
    assert not [f for f in report.findings if f.code == code and f.severity != "warning"]
    return [item for f in report.findings if f.code == code for item in f.items]


def test_dates_of_two_readings_are_named_with_the_option():
    ambiguous = DAYS.where(DAYS.dt.day <= 12, pd.Timestamp("2024-03-04"))
    (item,) = found(ambiguous.dt.strftime("%d/%m/%Y"), "ambiguous_dates")
    assert "--time-format at=day_first" in item
    for pattern in ("%d/%m/%Y", "%Y-%m-%d", "%d.%m.%Y"):
        assert found(DAYS.dt.strftime(pattern), "ambiguous_dates") == []


@pytest.mark.parametrize("odd", ["1900-01-01", "1970-01-01", "2099-12-31"])
def test_a_date_that_stands_for_none_is_named(odd):
    spiked = DAYS.where(np.arange(N) % 50 > 0, pd.Timestamp(odd))
    assert found(spiked, "placeholder_dates") == [f"at: {odd} in 24 cells"]
    assert found(DAYS, "placeholder_dates") == []
    assert found(DAYS.where(np.arange(N) > 0, pd.Timestamp(odd)), "placeholder_dates") == []
