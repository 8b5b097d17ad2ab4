"""A text that each card has one of, and few cards share, is the card by another name."""

from __future__ import annotations

import numpy as np
import pandas as pd

from vae_anomaly.data.tables.schema import Schema

N_CARDS = 120


def payments(n: int = 3000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    card = rng.integers(0, N_CARDS, n)
    towns = rng.integers(0, 70, N_CARDS)
    return pd.DataFrame(
        {
            "cc_num": 4_000_000_000_000_000 + 7 * card,
            "town": [f"town {towns[c]}" for c in card],
            "country": [f"country {c % 12}" for c in card],
            "merchant": [f"shop {i}" for i in rng.integers(0, 70, n)],
            "amount": rng.gamma(2.0, 30.0, n).round(2),
        }
    )


def features(frame: pd.DataFrame, **given: object) -> list[str]:
    return [column.name for column in Schema.infer(frame, **given).features]


def test_town_of_a_card_is_left_out_with_the_reason():
    schema = Schema.infer(payments())
    assert schema["town"].role == "person"
    assert "for each 'cc_num'" in schema["town"].note
    assert [c.name for c in schema.features] == ["country", "merchant", "amount"]


def test_what_a_person_has_declared_stays():
    assert "town" in features(payments(), overrides={"town": "categorical"})


def test_few_rows_a_card_tell_nothing_of_towns():
    assert "town" in features(payments(N_CARDS * 2))


def test_cards_that_move_about_do_not_tell_the_town():
    rows = payments()
    rows.loc[rows.index % 20 == 0, "town"] = "elsewhere"
    assert "town" in features(rows)


def test_without_cards_a_town_stays():
    assert "town" in features(payments().drop(columns="cc_num"))
