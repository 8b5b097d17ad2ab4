"""Items with scores: aligned with what is known of them, and nothing unscored among them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from batch.entity_nights import payments
from cli.evaluation_fixtures import labelled_transactions, write_labelled_surfaces

from vae_anomaly.errors import ConfigError, SchemaError
from vae_anomaly.evaluation import held_out_normals, score_items, with_held_out


@pytest.fixture
def rows() -> pd.DataFrame:
    """Thirty normal rows, then six of absurd amounts."""
    return labelled_transactions(36, 6)


@pytest.fixture
def tiles(tmp_path):
    """Test images in the MVTec layout, three good and two with an outlined hole."""
    return write_labelled_surfaces(tmp_path / "tiles", 3, 2)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_have_the_detectors_scores_and_their_own_labels(
    table_detector, rows, tmp_path, suffix
):
    path, told = tmp_path / f"rows.{suffix}", []
    rows.to_csv(path, index=False) if suffix == "csv" else rows.to_parquet(path)
    items = score_items(
        table_detector, path, labels="is_fraud", progress=lambda *step: told.append(step)
    )
    assert items.scores.tolist() == table_detector.anomaly_score(rows).tolist()
    assert items.labels.tolist() == (rows["is_fraud"] == 1).tolist()
    assert items.ids[[0, -1]].tolist() == ["row 1", "row 36"]
    assert told[-1] == ("score rows", 36, 36)


@pytest.mark.parametrize("bad", [np.inf, "much"], ids=["infinite", "text"])
def test_a_row_that_cannot_be_scored_is_named_counted_and_never_normal(
    table_detector, rows, tmp_path, bad, caplog
):
    whole = table_detector.anomaly_score(rows)
    rows["amount"] = rows["amount"].astype(object)
    rows.loc[3, "amount"] = bad
    rows.to_csv(tmp_path / "rows.csv", index=False)
    items = score_items(table_detector, tmp_path / "rows.csv", labels="is_fraud")
    assert items.left_out == {"unreadable": 1}
    assert "left out: row 4: " in caplog.text
    assert "row 4" not in items.ids
    assert (len(items.normals), len(items)) == (29, 35)
    assert items.scores.tolist() == np.delete(whole, 3).tolist()


def test_what_is_known_of_a_row_stays_with_it_when_others_are_left_out(
    table_detector, rows, tmp_path
):
    rows["synthetic"] = rows.index < 4
    rows["kind"] = ["normal"] * 30 + ["theft"] * 6
    rows.loc[[7, 9], "kind"] = None
    rows.loc[20, "amount"] = np.inf
    rows.to_parquet(tmp_path / "rows.parquet")
    items = score_items(table_detector, tmp_path / "rows.parquet", labels="kind",
                        groups="merchant", amounts="amount", by=["online"])  # fmt: skip
    kept = rows.drop(index=[0, 1, 2, 3, 7, 9, 20])
    assert items.left_out == {"unreadable": 1, "synthetic": 4, "without a label": 2}
    assert items.ids.tolist() == [f"row {i + 1}" for i in kept.index]
    assert items.groups.tolist() == kept["merchant"].tolist()
    assert items.amounts.tolist() == kept["amount"].tolist()
    assert items.kinds.tolist() == kept["kind"].tolist()
    assert items.by["online"].tolist() == [str(cell).lower() for cell in kept["online"]]


def test_labels_of_a_file_are_joined_by_id_in_any_order(card_detector, tmp_path):
    night = payments(12)
    night.to_parquet(tmp_path / "night.parquet")
    known = night[["id"]].assign(bad=np.arange(60) % 20 == 0).iloc[5:]
    known.sample(frac=1.0, random_state=1).to_csv(tmp_path / "labels.csv", index=False)
    items = score_items(
        card_detector, tmp_path / "night.parquet", labels=f"{tmp_path / 'labels.csv'}:bad"
    )
    assert items.ids[items.labels].tolist() == ["p12-20", "p12-40"]
    assert (len(items), items.left_out) == (55, {"without a label": 5})


def test_labels_of_a_file_need_rows_that_have_names(table_detector, rows, tmp_path):
    rows.to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(ConfigError, match="nothing names the rows"):
        score_items(
            table_detector, tmp_path / "rows.parquet", labels=f"{tmp_path / 'rows.parquet'}:id"
        )


@pytest.mark.parametrize("what", ["labels", "groups", "amounts"])
def test_a_column_that_is_not_there_is_named_with_the_nearest(table_detector, rows, what):
    with pytest.raises(SchemaError, match="did you mean 'merchant'"):
        score_items(table_detector, rows, **{what: "merchants"})


def test_images_are_labelled_by_their_folders_and_outlined_by_their_masks(image_detector, tiles):
    items = score_items(image_detector, tiles)
    paths = [tiles / name for name in items.ids]
    assert items.labels.tolist() == ["hole" in name for name in items.ids]
    assert items.kinds[items.labels].tolist() == ["hole", "hole"]
    np.testing.assert_allclose(items.scores, image_detector.anomaly_score(paths), rtol=1e-6)
    masks, heat = items.outlines.masks, items.outlines.heat
    covered = [mask.mean() for mask in masks]
    circle = np.pi * 11.5**2 / 64**2  # the hole's share of the image
    assert sorted(covered)[:3] == [0, 0, 0]
    assert sorted(covered)[3:] == pytest.approx([circle] * 2, rel=0.05)
    hole, hot = masks[int(np.argmax(covered))], heat[int(np.argmax(covered))]
    assert hot[hole].mean() > hot[~hole].mean()
    assert (items.outlines.n_defective, items.outlines.n_masks) == (2, 2)


def test_an_image_that_cannot_be_read_is_named_and_counted(image_detector, tiles, caplog):
    (tiles / "test" / "good" / "001.png").write_bytes(b"no image")
    items = score_items(image_detector, tiles)
    assert (len(items), items.left_out) == (4, {"unreadable": 1})
    assert "001.png" in caplog.text
    assert len(items.normals) == 2


def test_images_of_a_manifest_have_its_columns_and_only_labelled_ones_count(image_detector, tiles):
    lines = ["path,kind,group,camera", "test/good/000.png,good,A,left", "test/good/001.png,,A,left",
             "test/hole/000.png,hole,,right"]  # fmt: skip
    (tiles / "list.csv").write_text("\n".join(lines) + "\n")
    items = score_items(image_detector, tiles / "list.csv", by=["camera", "group"])
    assert items.left_out == {"without a label": 1}
    assert items.labels.tolist() == [False, True]
    assert items.by["camera"].tolist() == ["left", "right"]
    assert (items.groups[0], len(set(items.groups))) == ("A", 2)


def test_label_columns_of_images_are_refused(image_detector, tiles):
    with pytest.raises(ConfigError, match="labelled by their folders"):
        score_items(image_detector, tiles, labels="kind")


def test_held_out_normals_are_those_the_model_was_calibrated_on(table_detector):
    items = held_out_normals(table_detector)
    calibrated = table_detector.calibration_
    assert (len(items), items.labels) == (calibrated.n, None)
    assert items.are_held_out
    assert "400 normals held out of training" in items.source
    share = table_detector.threshold_.flag(items.scores).mean()
    assert share <= table_detector.target_fpr
    other = with_held_out(items.take(np.arange(400) < 50), table_detector)
    assert not other.are_held_out
    assert other.held_out.tolist() == items.scores.tolist()
