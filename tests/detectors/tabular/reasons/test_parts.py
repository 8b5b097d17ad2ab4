"""Contributions as a reader sees them: cells, what was expected, what is usual."""

from __future__ import annotations

import numpy as np
import pytest
from detectors.tabular.reasons.test_rows import payments

from vae_anomaly.data.tables.entity_histories import EntityColumns, EntityHistories
from vae_anomaly.detectors.tabular.detector import TabularVAEDetector
from vae_anomaly.detectors.tabular.explain import contributions
from vae_anomaly.detectors.tabular.reasons import ColumnPart, ExplainedRow, explained, reasons

SMALL = {"preset": "fast", "max_steps": 40, "hidden": 16, "random_state": 0}


@pytest.fixture(scope="module")
def detector() -> TabularVAEDetector:
    return TabularVAEDetector(**SMALL).fit(payments(1_000))


def explained_payment(detector: TabularVAEDetector, top: int = 8, **cells: object) -> ExplainedRow:
    row = payments(1, seed=3).assign(euro=8.0, shop="bakery", town="Bonn").assign(**cells)
    (one,) = explained(detector.examine(row), np.array([True]), columns=top)
    return one


def part(one: ExplainedRow, column: str) -> ColumnPart:
    return next(part for part in one.parts if part.column == column)


def test_parts_and_rest_sum_to_the_score_and_the_largest_comes_first(detector):
    one = explained_payment(detector, top=3, euro=95.5)
    assert len(one.parts) == 3
    assert sum(part.nats for part in one.parts) + one.rest == pytest.approx(one.score)
    sizes = [abs(part.nats) for part in one.parts]
    assert sizes == sorted(sizes, reverse=True)


def test_an_amount_stands_beside_what_its_shop_lets_one_expect(detector):
    one = explained_payment(detector, euro=95.5)
    euro = one.parts[0]
    assert (euro.column, euro.value) == ("euro", "95.50")
    low, high = (float(end) for end in euro.expected.split(" to "))
    assert 4.0 < low < 8.0 < high < 14.0
    assert euro.typical.endswith(" to 94") or float(euro.typical.split(" to ")[1]) > 60.0
    assert one.reasons[0].startswith("euro 95.50")


def test_a_wrong_shop_stands_beside_the_one_that_is_expected(detector):
    one = explained_payment(detector, shop="jeweller")
    shop = part(one, "shop")
    assert shop.value == "jeweller"
    assert shop.expected in ("bakery", "bakery or grocer", "grocer or bakery")
    assert shop.typical.count(" %") == 3


def test_an_empty_cell_is_named_so(detector):
    assert part(explained_payment(detector, town=None), "town").value == "empty"


def test_reasons_are_those_that_are_given_alone(detector):
    examination = detector.examine(payments(60, seed=5))
    flags = np.arange(60) % 2 == 0
    together = [list(one.reasons) for one in explained(examination, flags)]
    assert together == reasons(examination, flags)


def test_contributions_are_computed_once(detector, monkeypatch):
    calls = []

    def counted(examination):
        calls.append(len(examination))
        return contributions(examination)

    monkeypatch.setattr("vae_anomaly.detectors.tabular.reasons.rows.contributions", counted)
    explained(detector.examine(payments(30, seed=6)), np.ones(30, dtype=bool))
    assert calls == [30]


def test_columns_of_a_history_are_named_as_a_person_would():
    rows = payments(1_200, seed=8).drop(columns=["opened", "items"]).sort_values("at")
    rows["card"] = [f"c{i % 12}" for i in range(len(rows))]
    histories = EntityHistories(EntityColumns(("card",), "at", "euro"))
    known = histories.extend(rows)
    detector = TabularVAEDetector(**SMALL).fit(known.drop(columns="card"))
    detector.entities_ = histories
    later = known.tail(40).assign(euro=900.0).drop(columns="card")
    later["card: amount / usual"] = np.log(901.0 / 21.0)
    later["card: amount z"] = 40.0
    one = explained(detector.examine(later), np.ones(40, dtype=bool), columns=12)[0]
    names = [part.column for part in one.parts]
    assert len(names) == len(set(names))
    beside = part(one, "euro beside the usual of this card")
    assert (beside.value, beside.expected) == ("900", "about 20")
    assert float(beside.typical.split(" to ")[1]) < 100.0
    gap = part(one, "time since the last row of this card")
    assert any(unit in gap.value for unit in ("second", "minute", "hour", "day"))
    assert any(unit in gap.typical for unit in ("minute", "hour", "day"))
    pace = part(one, "number of rows of this card in the last day")
    assert pace.value.endswith(" its usual")
    assert not any("card:" in name for name in names)
