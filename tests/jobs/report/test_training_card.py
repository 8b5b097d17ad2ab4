"""What training keeps in the model for its page."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pandas as pd
import pytest
from batch.entity_nights import train_model
from PIL import Image

from vae_anomaly import ImageVAEDetector, TabularVAEDetector, load_detector
from vae_anomaly.jobs import Destination, TableColumns, train_images_job, train_table_job
from vae_anomaly.persistence import model_digest
from vae_anomaly.reports.facts.training import TrainingCard
from vae_anomaly.state import from_json

PRIVATE = "4711-PRIVATE"


@pytest.fixture(scope="module")
def payments(tmp_path_factory):
    rng = np.random.default_rng(0)
    n = 240
    frame = pd.DataFrame(
        {
            "payment": [f"{PRIVATE}-{i}" for i in range(n)],
            "customer": [f"{PRIVATE}-c{i // 4}" for i in range(n)],
            "at": pd.date_range("2026-01-05", periods=n, freq="3h"),
            "amount": rng.normal(50.0, 5.0, n).round(2),
            "shop": rng.choice(["bakery", "kiosk"], n),
            "is_fraud": np.arange(n) % 40 == 0,
        }
    )
    frame.loc[17, "amount"] = 95.0
    frame.loc[frame["is_fraud"], "amount"] = 400.0
    path = tmp_path_factory.mktemp("payments") / "payments.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def table_model(payments, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "cards"
    columns = TableColumns(id_column="payment", groups="customer", label="is_fraud")
    detector = TabularVAEDetector(max_steps=150, outliers="keep", random_state=0)
    train_table_job(detector, payments, Destination(folder=folder), columns)
    return folder


@pytest.fixture(scope="module")
def card(table_model):
    return from_json(TrainingCard, load_detector(table_model).training_)


def test_the_strangest_row_is_the_one_that_was_planted(card):
    first = card.strangest[0]
    assert first.row.contributions[0].column == "amount"
    assert first.row.contributions[0].value == "95"
    assert "amount" in first.reasons[0]
    total = sum(one.nats for one in first.row.contributions) + first.row.rest
    assert total == pytest.approx(first.row.explained, abs=1e-3)


def test_the_strangest_row_says_what_is_usual_and_what_was_expected(card):
    first = card.strangest[0].row.contributions[0]
    low, high = (float(end) for end in first.typical.split(" to "))
    assert 30 < low < high < 70
    assert first.expected


def test_no_cell_of_an_identifier_is_kept(table_model, card):
    kept = json.loads((table_model / "detector.json").read_text())["training"]
    assert PRIVATE not in json.dumps(kept)
    assert {name for name, _ in card.strangest[0].row.cells} == {"at", "amount", "shop"}


def test_losses_rates_spans_and_ranges_are_kept(card):
    assert card.losses.steps
    assert card.losses.best_step
    assert [rate.stated for rate in card.held_out.rates] == [0.05, 0.01, 0.001]
    assert card.held_out.n_groups == card.n_groups == 60
    assert card.spans[0].first.startswith("2026-01-05T")
    assert {column.name for column in card.columns} == {"at", "amount", "shop"}
    assert card.evaluation.n_anomalies == 6
    assert dict(card.evaluation.figures)["recall"].estimate == 1.0
    assert len(card.strangest_latents) == len(card.strangest)


def test_the_card_survives_another_save_and_moves_no_digest(table_model, tmp_path):
    saved = load_detector(table_model).save(tmp_path / "again")
    assert model_digest(saved) == model_digest(table_model)


def test_without_a_report_no_item_is_kept(payments, tmp_path):
    to = Destination(folder=tmp_path / "model", report=False)
    train_table_job(TabularVAEDetector(max_steps=20, random_state=0), payments, to)
    assert "training" not in json.loads((tmp_path / "model" / "detector.json").read_text())


def test_a_folder_of_the_machine_is_not_kept(card, payments):
    assert str(payments.parent) not in json.dumps(card.source)
    assert "payments.csv" in card.source


def test_the_strangest_image_is_shown_with_the_map_that_had_not_seen_it(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(16):
        pixels = rng.integers(90, 110, (80, 80), dtype=np.uint8)
        if i == 5:
            pixels[30:44, 30:44] = 20
        (tmp_path / "good").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "good" / f"part_{i:02d}.png")
    to = Destination(folder=tmp_path / "model")
    detector = ImageVAEDetector(64, preset="fast", outliers="keep", random_state=0)
    train_images_job(detector, tmp_path / "good", to)
    kept = from_json(TrainingCard, load_detector(tmp_path / "model").training_)
    first = kept.strangest[0]
    assert first.id == "part_05.png"
    heat = np.asarray(Image.open(io.BytesIO(base64.b64decode(first.image.heat))))
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert 30 <= 80 * row / len(heat) < 44
    assert 30 <= 80 * column / len(heat) < 44
    assert len(kept.strangest) == 16
    assert str(tmp_path) not in json.dumps(load_detector(tmp_path / "model").training_)


def test_the_strangest_rows_of_entities_are_explained_in_words(tmp_path):
    train_model(tmp_path / "cards")
    detector = load_detector(tmp_path / "cards" / "model")
    told = from_json(TrainingCard, detector.training_)
    reasons = [reason for item in told.strangest for reason in item.reasons]
    assert any("this card" in reason for reason in reasons)
    assert not [reason for reason in reasons if "card: " in reason]
