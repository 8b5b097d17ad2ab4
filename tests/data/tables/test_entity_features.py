from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from vae_anomaly.data.tables.entity_features import FEATURES, EntityHistory
from vae_anomaly.errors import DataError, SchemaError


def ledger(n: int = 400, days: int = 50, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    at = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, days * 24, n), unit="h")
    frame = pd.DataFrame(
        {"card": rng.choice(list("abcde"), n), "at": at, "euro": rng.gamma(2, 30, n)}
    )
    return frame.sort_values("at", ignore_index=True)


def history() -> EntityHistory:
    return EntityHistory("card", "at", "euro")


def by_hand(frame: pd.DataFrame, row: int) -> list[float]:
    """Compute the features of one row in the plainest way."""
    card, at, euro = frame.loc[row, ["card", "at", "euro"]]
    own = frame[(frame["card"] == card) & (frame["at"] < at)]
    if own.empty:
        return [np.nan] * len(FEATURES)

    def last(days: int) -> pd.Series:
        return own.loc[own["at"] >= at - pd.Timedelta(days=days), "euro"]

    usual = last(30).median()
    spread = (last(30).quantile(0.75) - last(30).quantile(0.25)) / 1.349
    return [
        np.log((euro + 1) / (usual + 1)),
        (euro - usual) / max(spread, 1.0),
        np.log((last(1).mean() + 1) / (usual + 1)),
        np.log((last(7).mean() + 1) / (usual + 1)),
        np.log1p(len(last(1))) - np.log1p(len(last(7)) / 7),
        np.log1p((at - own["at"].max()).total_seconds() / 3600),
    ]


def test_features_are_what_they_say_they_are():
    frame = ledger()
    features = history().process(frame).to_numpy()
    expected = np.array([by_hand(frame, row) for row in range(len(frame))])
    np.testing.assert_allclose(features, expected, rtol=1e-6, atol=1e-6)


def test_night_by_night_gives_what_all_nights_together_give():
    frame = ledger()
    together = history().process(frame)
    state, parts = history(), []
    for _, night in frame.groupby(frame["at"].dt.date):
        parts.append(state.process(night))
        kept, state = state.arrays(), history()
        state.restore(kept)
    pd.testing.assert_frame_equal(pd.concat(parts), together, rtol=1e-9, atol=1e-9)


def test_no_row_sees_its_own_future():
    frame = ledger()
    changed = frame.copy()
    changed.loc[200:, "euro"] *= 1e3
    before, after = history().process(frame), history().process(changed)
    pd.testing.assert_frame_equal(before[:200], after[:200])


def test_rows_of_the_same_instant_do_not_see_each_other():
    frame = pd.DataFrame(
        {"card": ["a", "a"], "at": pd.to_datetime(["2026-01-01"] * 2), "euro": [1, 9]}
    )
    assert history().process(frame).isna().all(axis=None)


def test_usual_is_the_median_of_the_hundred_newest_rows():
    at = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(151), unit="h")
    euro = np.r_[np.full(50, 1e6), np.arange(100.0), 49.5]
    features = history().process(pd.DataFrame({"card": "a", "at": at, "euro": euro}))
    assert features["card: amount / usual"].iloc[-1] == pytest.approx(0.0)
    assert features["card: amount z"].iloc[-1] == pytest.approx(0.0)


def test_frauds_in_the_past_do_not_hide_the_next():
    at = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(21), unit="D")
    euro = np.r_[np.full(17, 20.0), np.full(4, 100.0)]
    features = history().process(pd.DataFrame({"card": "a", "at": at, "euro": euro}))
    assert features["card: amount / usual"].iloc[-4:].tolist() == pytest.approx(
        [np.log(101 / 21)] * 4
    )


def test_the_order_of_rows_in_a_night_does_not_matter(rng):
    frame = ledger()
    shuffled = frame.sample(frac=1.0, random_state=3)
    pd.testing.assert_frame_equal(
        history().process(shuffled).sort_index(), history().process(frame), rtol=1e-9
    )


def test_only_thirty_days_are_remembered_and_the_last_visit_longer():
    state = history()
    state.process(ledger(days=20))
    late = pd.DataFrame({"card": ["a"], "at": [pd.Timestamp("2026-06-01")], "euro": [5.0]})
    features = state.process(late).iloc[0]
    assert state.n_rows == 1
    assert np.isnan(features["card: amount / usual"])
    assert features["card: hours since last"] > np.log(24 * 90)


def test_a_night_can_be_tried_without_being_remembered():
    state = history()
    state.process(ledger(100, days=3))
    night = ledger(20, days=3, seed=1)
    trial = state.copy().process(night)
    pd.testing.assert_frame_equal(trial, state.process(night))


def test_rows_without_entity_time_or_amount_have_no_features_and_leave_no_trace():
    frame = pd.DataFrame(
        {
            "card": ["a", None, "a"],
            "at": pd.to_datetime(["2026-01-01", "2026-01-02", None]),
            "euro": 1.0,
        }
    )
    state = history()
    assert state.process(frame).isna().all(axis=None)
    assert state.n_rows == 1


def test_what_cannot_be_used_is_refused_by_name():
    with pytest.raises(SchemaError, match="'euro'"):
        history().process(ledger().drop(columns="euro"))
    with pytest.raises(DataError, match="'at' must hold timestamps"):
        history().process(ledger().assign(at="soon"))
