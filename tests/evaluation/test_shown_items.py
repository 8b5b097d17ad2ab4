"""What a page shows of an inspected item is what the inspection found, with the past of its row."""

from __future__ import annotations

import base64
import io
from functools import partial

import pandas as pd
import pytest
from batch.entity_nights import payments
from PIL import Image
from tracking.real_models import surface, transactions

from vae_anomaly.evaluation import inspect_images, inspect_rows
from vae_anomaly.evaluation.inspection import FoundRows, find_rows
from vae_anomaly.evaluation.shown_items import LARGE_SIDE, PageItems


def shown_rows(detector, file, **asked):
    shown = PageItems(detector, "cards/3")
    found = find_rows(detector, str(file), **asked)
    inspections = inspect_rows(
        detector, found.frame, found.names, look=partial(shown.add_rows, found)
    )
    return inspections, shown.facts()


def test_a_row_is_shown_with_its_cells_and_the_past_of_its_card(card_detector, tmp_path):
    night = payments(12)
    last = night.index[night["card"] == "card 2"][-1]
    night.loc[last, "euro"] = 5_000.0
    night.to_parquet(tmp_path / "night.parquet")
    (one,), facts = shown_rows(card_detector, tmp_path / "night.parquet", row=int(last) + 1)
    item = facts.items[0].item
    assert (item.id, item.score, item.reasons) == (one.id, one.anomaly_score, one.reasons)
    assert (item.row.file, item.row.row) == ("night.parquet", last + 1)
    assert {name for name, _ in item.row.cells} == {"at", "euro"}
    (past,) = item.row.past
    before = pd.concat([payments(0, 12), night.drop(index=last)])
    own = before[before["card"] == "card 2"].sort_values("at")["euro"]
    assert list(past.values) == own.tail(20).tolist()
    assert past.value == 5_000.0


def test_rows_are_shown_in_the_order_of_their_inspection_and_not_scored_again(
    table_detector, tmp_path, monkeypatch
):
    rows = transactions(20, seed=5)
    rows.loc[3, "amount"] = 90_000.0
    found = (rows.iloc[[11, 3]], ["rows.csv:12", "rows.csv:4"])
    shown = PageItems(table_detector, "cards/3")
    calls = []
    examine = table_detector.examine
    monkeypatch.setattr(table_detector, "examine", lambda X: calls.append(1) or examine(X))
    inspect_rows(table_detector, *found, look=partial(shown.add_rows, FoundRows(*found)))
    facts = shown.facts()
    assert [one.item.id for one in facts.items] == ["rows.csv:12", "rows.csv:4"]
    assert [one.item.row.row for one in facts.items] == [12, 4]
    assert facts.items[1].item.row.contributions[0].column == "amount"
    assert len(calls) == 1


def test_an_image_is_shown_large_with_its_regions_and_what_was_expected(image_detector, tmp_path):
    surface(0, hole=True).resize((1200, 600)).save(tmp_path / "hole.png")
    shown = PageItems(image_detector, "tiles/1")
    (one,) = inspect_images(image_detector, [tmp_path / "hole.png"], look=shown.add_image)
    (item,) = shown.facts().items
    image = item.item.image
    small = Image.open(io.BytesIO(base64.b64decode(image.thumbnail)))
    assert small.size == (LARGE_SIDE, LARGE_SIDE // 2)
    assert (image.width, image.height) == (1200, 600)
    assert image.source == str(tmp_path / "hole.png")
    assert [region.peak for region in image.regions] == pytest.approx(
        [region["peak"] for region in one.regions[:12]]
    )
    assert all(0.0 <= share <= 1.0 for line in image.contours for share in line)
    assert item.item.reasons == one.reasons
    assert item.evidence
