"""The reasons of rows of one small table, read aloud."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from detectors.tabular.reasons.readable import assert_readable
from hypothesis import given, settings
from hypothesis import strategies as st

from vae_anomaly.detectors.tabular.detector import TabularVAEDetector
from vae_anomaly.detectors.tabular.explain import contributions
from vae_anomaly.detectors.tabular.reasons import reasons
from vae_anomaly.detectors.tabular.remembered import RememberedCells

EURO = {"bakery": 8.0, "grocer": 30.0, "jeweller": 90.0}


def payments(n: int, seed: int = 0) -> pd.DataFrame:
    """Return payments whose amount depends on the shop, and whose shop depends on the town."""
    rng = np.random.default_rng(seed)
    shop = rng.choice(list(EURO), n, p=[0.4, 0.4, 0.2])
    town = np.where(shop == "jeweller", "Ulm", rng.choice(["Ulm", "Bonn"], n))
    at = pd.Timestamp("2026-01-05") + pd.to_timedelta(rng.uniform(0.0, 28.0, n), unit="D")
    opened = at - pd.to_timedelta(rng.uniform(20 * 365.25, 70 * 365.25, n), unit="D")
    usual = pd.Series(shop).map(EURO).to_numpy()
    return pd.DataFrame(
        {
            "euro": np.round(usual * np.exp(0.2 * rng.normal(size=n)), 2),
            "shop": shop,
            "town": town,
            "items": rng.integers(1, 5, n).astype(float),
            "at": at.round("s"),
            "opened": opened.normalize(),
        }
    )


@pytest.fixture(scope="module")
def detector() -> TabularVAEDetector:
    settings = {"preset": "fast", "max_steps": 40, "hidden": 16, "random_state": 0}
    return TabularVAEDetector(**settings).fit(payments(1_000))


def all_reasons(detector: TabularVAEDetector, **cells: object) -> list[str]:
    """Return all reasons of a payment at a bakery, with other cells, as if it were flagged."""
    usual = {
        "euro": 8.0,
        "shop": "bakery",
        "town": "Bonn",
        "items": 2.0,
        "at": pd.Timestamp("2026-01-21 12:30"),
        "opened": pd.Timestamp("1980-05-17"),
    }
    examination = detector.examine(pd.DataFrame([usual | cells]))
    (texts,) = reasons(examination, np.array([True]), top=6)
    return texts


def test_an_amount_is_compared_with_its_shop(detector):
    text = all_reasons(detector, euro=95.5)[0]
    assert text.startswith("euro 95.50, usual with shop 'bakery' is 5.90 to ")


def test_two_categories_that_never_come_together_are_a_reason_once(detector):
    texts = all_reasons(detector, euro=90.0, shop="jeweller")
    (text,) = [text for text in texts if "jeweller" in text and "Bonn" in text]
    assert text in (
        "shop 'jeweller', hardly ever seen with town 'Bonn'",
        "town 'Bonn', hardly ever seen with shop 'jeweller'",
    )


@pytest.mark.parametrize("column", ["at", "items", "euro"])
def test_an_empty_number_or_time_is_in_a_group_of_its_own(detector, column):
    rows = payments(1).drop(columns=column).assign(**{column: None})
    cells = RememberedCells(detector.examine(rows.astype({"at": "datetime64[ns]"})))
    groups = cells.groups(detector.model_.encoder.names.index(column))
    assert groups.asked[0] not in groups.remembered
    assert groups.asked[0] < groups.n


def test_an_age_of_decades_is_told_in_years(detector):
    texts = all_reasons(detector, opened=pd.Timestamp("1900-01-01"))
    years = [text for text in texts if text.startswith("at lies")]
    assert years == ["at lies 126 years after opened, usual is 23 to 68 years"]


def test_a_flagged_row_of_usual_cells_is_a_combination_of_the_columns_that_add_most(detector):
    examination = detector.examine(payments(200, seed=2))
    texts = [one for (one,) in filter(None, reasons(examination, np.ones(200, dtype=bool), top=1))]
    assert len(texts) == 200
    combined = [text for text in texts if text.startswith("an unusual combination of ")]
    assert len(combined) > 100
    most = np.argmax(contributions(examination), axis=1)
    first = [detector.model_.encoder.names[place] for place in most]
    assert all(
        text.startswith(f"an unusual combination of {name} ")
        for text, name in zip(texts, first, strict=True)
        if text in combined
    )


def test_a_column_that_has_nothing_to_do_with_it_is_no_company():
    rng = np.random.default_rng(0)
    names = [f"x{i}" for i in range(6)]
    frame = pd.DataFrame(np.exp(rng.normal(3.0, 0.7, (1_000, 6))), columns=names)
    settings = {"preset": "fast", "max_steps": 20, "hidden": 8, "random_state": 0}
    fit = TabularVAEDetector(**settings).fit(frame)
    asked = frame.head(200).assign(x0=frame["x0"].quantile(0.985))
    texts = reasons(fit.examine(asked), np.ones(200, dtype=bool), top=3)
    company = ("usual with", "similar training rows", "expected from")
    assert sum(word in text for one in texts for text in one for word in company) <= 4


def test_one_column_has_reasons_too():
    rows = np.random.default_rng(0).normal(size=(300, 1))
    fit = TabularVAEDetector(preset="fast", max_steps=20, hidden=8, random_state=0).fit(rows)
    (texts,) = fit.reasons([[9.0]])
    assert len(texts) == 1
    assert texts[0].startswith("x0 9, higher than any of ")


def test_contributions_are_as_they_were(detector):
    examination = detector.examine(payments(20, seed=4))
    before = contributions(examination).copy()
    detector.reasons_of(examination)
    np.testing.assert_array_equal(contributions(examination), before)
    np.testing.assert_allclose(before.sum(axis=1), examination.raw_score)


CELLS = {
    "euro": st.floats(-1e12, 1e12) | st.just(np.nan) | st.integers(0, 2_000).map(float),
    "shop": st.sampled_from([*EURO, "casino", None]),
    "town": st.sampled_from(["Ulm", "Bonn", None]),
    "at": st.datetimes(pd.Timestamp("1900-01-01"), pd.Timestamp("2200-01-01")) | st.none(),
    "items": st.integers(0, 9).map(float) | st.just(np.nan),
    "opened": st.datetimes(pd.Timestamp("1900-01-01"), pd.Timestamp("2200-01-01")) | st.none(),
}


@settings(max_examples=25)
@given(rows=st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=12))
def test_whatever_a_row_holds_its_reasons_can_be_read_aloud(detector, rows):
    frame = pd.DataFrame(rows)
    for column in ("at", "opened"):
        frame[column] = pd.to_datetime(frame[column]).astype("datetime64[ns]")
    flagged = detector.assess(frame)["is_anomaly"].to_numpy()
    told = detector.reasons(frame)
    assert all(texts for texts, is_flagged in zip(told, flagged, strict=True) if is_flagged)
    for text in (text for texts in told for text in texts):
        assert_readable(text)
