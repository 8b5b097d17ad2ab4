"""A look at rows of entities sees the past that the nightly scoring saw, and remembers nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from batch.entity_nights import payments, write_nights

from vae_anomaly.batch import read_results, score_tables
from vae_anomaly.batch.histories import with_past
from vae_anomaly.errors import ConfigError, DataError, SchemaError
from vae_anomaly.evaluation import score_items

RELATIVE = "card: amount / usual"


def test_rows_get_the_past_of_the_training_and_nothing_of_them_is_remembered(card_detector):
    night, before = payments(12), card_detector.entities_.digest()
    first, second = (with_past(card_detector.entities_, night) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    pd.testing.assert_frame_equal(first, card_detector.entities_.copy().extend(night))
    assert first[RELATIVE].notna().mean() > 0.9
    assert card_detector.entities_.digest() == before


def test_rows_have_the_same_past_in_any_order(card_detector):
    night = payments(12)
    shuffled = night.sample(frac=1.0, random_state=0)
    found = with_past(card_detector.entities_, shuffled).sort_index()
    pd.testing.assert_frame_equal(found, with_past(card_detector.entities_, night))


def test_evaluation_scores_a_night_as_the_nightly_scoring_did(card_model, card_detector, tmp_path):
    nights = write_nights(tmp_path / "nights", (12, 13))
    score_tables(card_model, nights, tmp_path / "out")
    write_nights(tmp_path / "next", (14,))
    score_tables(card_model, tmp_path / "next", tmp_path / "out")
    wanted = read_results(tmp_path / "out").set_index("id")["score"]
    items = score_items(
        card_detector, tmp_path / "next" / "night14.parquet", state=tmp_path / "out"
    )
    np.testing.assert_allclose(items.scores, wanted[items.ids], rtol=1e-6)


def test_missing_nights_between_are_told(card_detector, caplog):
    with_past(card_detector.entities_, payments(14))
    assert "2.1 days before the rows" in caplog.text


def test_rows_older_than_every_history_are_refused(card_detector):
    with pytest.raises(DataError, match="already reach 2026-01-12"):
        with_past(card_detector.entities_, payments(3))


def test_rows_without_a_time_or_entity_column(card_detector):
    timeless = with_past(card_detector.entities_, payments(12).assign(at=None))
    assert timeless[RELATIVE].isna().all()
    with pytest.raises(SchemaError, match="'card'"):
        with_past(card_detector.entities_, payments(12).drop(columns="card"))


def test_without_entities_rows_stay_as_they_are_and_a_state_is_refused(tmp_path):
    rows = payments(12)
    assert with_past(None, rows) is rows
    with pytest.raises(ConfigError, match="Leave --state out"):
        with_past(None, rows, tmp_path)
