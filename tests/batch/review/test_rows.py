"""The rows that reviewers will see: why, their cells, the past of their card."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from batch.entity_nights import payments
from tracking.real_models import transactions

from vae_anomaly import TabularVAEDetector, load_detector
from vae_anomaly.batch import read_manifest, score_tables
from vae_anomaly.batch.review import read_review
from vae_anomaly.batch.review.rows import CELL_CHARACTERS, written_cell
from vae_anomaly.reports.facts.items import ReviewItem

FIRST_NAMES = ("Anna", "Bruno", "Clara", "David", "Emma", "Felix", "Greta", "Hugo")
LAST_NAMES = ("Fischer", "Huber", "Keller", "Lang", "Maier", "Novak", "Weber")


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
    first = review_of(table_model, rows, tmp_path, id_column="id")[0]
    cells = dict(first.row.cells)
    assert "id" not in cells
    assert cells["amount"] == "90000"


def test_nothing_that_names_a_person_is_kept(tmp_path):
    rows = transactions(400, seed=5)
    people = [f"{first} {last}" for first in FIRST_NAMES for last in LAST_NAMES]
    rows["holder_name"] = np.resize(people, len(rows))
    rows["birth_date"] = pd.date_range("1950-01-01", periods=len(rows), freq="31D").date.astype(str)
    model = TabularVAEDetector(max_steps=20, memory=200).fit(rows)
    roles = {column.name: column.role for column in model.schema_.columns}
    assert (roles["holder_name"], roles["birth_date"]) == ("person", "person")
    night = rows.assign(contact="someone@example.org")  # a column that training never saw
    night.loc[7, "amount"] = 90_000.0
    review_of(model.save(tmp_path / "model"), night, tmp_path, id_column="id")
    kept = (tmp_path / "out" / "review" / "night.jsonl").read_text(encoding="utf-8")
    assert not [name for name in (*people, *rows["birth_date"], "example.org") if name in kept]


def test_a_card_number_is_not_kept_with_its_past(card_model, tmp_path):
    detector = load_detector(card_model)
    named = detector.schema_.columns
    private = tuple(
        column.model_copy(update={"role": "person"}) if column.name == "card" else column
        for column in named
    )
    schema = detector.schema_.model_copy(update={"columns": private})
    detector.model_ = dataclasses.replace(detector.model_, schema=schema)
    items = review_of(detector.save(tmp_path / "model"), payments(12), tmp_path)
    assert {past.entity for item in items for past in item.row.past} == {"this card"}


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


def test_a_long_cell_is_cut():
    assert len(written_cell("x" * 300)) == CELL_CHARACTERS
