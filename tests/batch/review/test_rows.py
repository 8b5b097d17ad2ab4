"""The rows that reviewers will see: why, their cells, the past of their card."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from batch.entity_nights import payments
from tracking.real_models import transactions

from vae_anomaly import load_detector
from vae_anomaly.batch import read_manifest, score_tables
from vae_anomaly.batch.review import read_review
from vae_anomaly.batch.review.rows import CELL_CHARACTERS, written_cell
from vae_anomaly.reports.facts.items import ReviewItem


def review_of(model: Path, rows: pd.DataFrame, folder: Path, **options: object) -> list[ReviewItem]:
    """Score a table and return what is kept of it."""
    rows.to_parquet(folder / "night.parquet")
    score_tables(model, folder / "night.parquet", folder / "out", **options)
    (entry,) = read_manifest(folder / "out")["partitions"]
    return read_review(folder / "out", entry)


@pytest.fixture
def rows() -> pd.DataFrame:
    rows = transactions(400, seed=5)
    rows.loc[7, "amount"] = 90_000.0
    return rows


def test_flagged_nearest_and_drawn_rows_are_kept(rows, table_model, tmp_path):
    items = review_of(table_model, rows, tmp_path, id_column="id", batch_rows=150)
    flagged = load_detector(table_model).assess(rows)["is_anomaly"].sum()
    roles = [role for item in items for role in item.roles]
    assert roles.count("flagged") == flagged > 0
    assert (roles.count("near_miss"), roles.count("audit")) == (24, 30)


def test_contributions_of_every_item_sum_to_its_score(rows, table_model, tmp_path):
    items = review_of(table_model, rows, tmp_path, id_column="id")
    raw = load_detector(table_model).assess(rows)["raw_score"].to_numpy()
    scores = dict(zip(rows["id"].astype(str), raw, strict=True))
    for item in items:
        assert item.row.explained == pytest.approx(scores[item.id], rel=1e-6)
        nats = [part.nats for part in item.row.contributions]
        assert sum(nats) + item.row.rest == pytest.approx(item.row.explained)


def test_a_planted_amount_comes_first_in_words_and_in_contributions(rows, table_model, tmp_path):
    first = review_of(table_model, rows, tmp_path, id_column="id")[0]
    assert first.id == str(rows["id"][7])
    assert (first.row.file, first.row.row) == ("night.parquet", 8)
    assert first.row.contributions[0].column == "amount"
    assert first.row.contributions[0].value == "90,000"
    assert "amount" in first.reasons[0]
    assert first.words.startswith("stranger than all ")


def test_cells_are_those_of_the_table_without_what_names_a_row(rows, table_model, tmp_path):
    rows["note"] = "x" * 300
    first = review_of(table_model, rows, tmp_path, id_column="id")[0]
    cells = dict(first.row.cells)
    assert "id" not in cells
    assert cells["amount"] == "90000"
    assert len(cells["note"]) == CELL_CHARACTERS


def test_two_runs_keep_the_same_bytes(rows, table_model, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    kept = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        review_of(table_model, rows, folder, id_column="id")
        kept.append((folder / "out" / "review" / "night.jsonl").read_bytes())
    assert kept[0] == kept[1]


def test_the_past_of_a_card_stands_beside_its_payment(card_model, tmp_path):
    night = payments(12)
    last = night.index[night["card"] == "card 2"][-1]
    night.loc[last, "euro"] = 5_000.0
    items = review_of(card_model, night, tmp_path)
    item = next(item for item in items if item.id == night["id"][last])
    (past,) = item.row.past
    assert (past.entity, past.column, past.value) == ("card card 2", "euro", 5_000.0)
    before = pd.concat([payments(0, 12), night.drop(index=last)])
    own = before[before["card"] == "card 2"].sort_values("at")["euro"]
    assert list(past.values) == own.tail(20).tolist()
    columns = [part.column for part in item.row.contributions]
    assert "euro beside the usual of this card" in columns[:2]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, ""), (np.nan, ""), (pd.NaT, ""), (pd.NA, ""), (3.0, "3"), (0.1, "0.1"),
        (pd.Timestamp("2026-01-05 12:30"), "2026-01-05 12:30:00"), ("<b>", "<b>"),
    ],
)  # fmt: skip
def test_a_cell_is_written_as_it_is(cell, text):
    assert written_cell(cell) == text
