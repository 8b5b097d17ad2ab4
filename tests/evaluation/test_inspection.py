"""One item explained: the detector's own answers, in words, with where and why."""

from __future__ import annotations

import numpy as np
import pytest
from batch.entity_nights import payments
from cli.evaluation_fixtures import labelled_transactions
from PIL import Image
from tracking.real_models import surface

from vae_anomaly.errors import ConfigError, DataError, ImageError
from vae_anomaly.evaluation import inspect_images, inspect_rows
from vae_anomaly.evaluation.inspection import find_rows


@pytest.fixture
def rows(tmp_path):
    """Thirty normal rows and two of absurd amounts, as a file."""
    labelled_transactions(32, 2).to_csv(tmp_path / "rows.csv", index=False)
    return str(tmp_path / "rows.csv")


def test_rows_are_told_what_the_detector_says_of_them(table_detector):
    frame = labelled_transactions(6, 2)
    found = inspect_rows(table_detector, frame, top=2)
    assert [one.id for one in found] == [f"row {i}" for i in range(1, 7)]
    assert [one.anomaly_score for one in found] == table_detector.anomaly_score(frame).tolist()
    assert [one.p_value for one in found] == table_detector.p_value(frame).tolist()
    assert [one.is_anomaly for one in found] == [False] * 4 + [True] * 2
    assert [list(one.reasons) for one in found] == table_detector.reasons(frame, top=2)
    assert {one.threshold for one in found} == {table_detector.threshold_.value}


def test_contributions_add_up_to_the_score_and_the_largest_comes_first(table_detector):
    for one in inspect_rows(table_detector, labelled_transactions(6, 2))[-2:]:
        parts = list(one.contributions.values())
        assert sum(parts) == pytest.approx(one.evidence["fused"], rel=1e-6)
        assert parts == sorted(parts, reverse=True)
        assert next(iter(one.contributions)) == "amount"
        assert "amount" in one.reasons[0]
        assert one.is_extrapolated == one.words.startswith("stranger than all 400 normal rows")


def test_a_row_is_found_by_its_place_and_counted_from_one(table_detector, rows):
    for asked in ({"item": f"{rows}:17"}, {"item": rows, "row": 17}):
        frame, names, _ = find_rows(table_detector, **asked)
        assert (frame["id"].tolist(), names) == (["t50-16"], ["rows.csv:17"])
    with pytest.raises(DataError, match="32 rows; got row 33"):
        find_rows(table_detector, f"{rows}:33")


def test_rows_are_found_by_their_id(card_detector, table_detector, rows, tmp_path):
    payments(12).to_parquet(tmp_path / "night.parquet")
    night = str(tmp_path / "night.parquet")
    frame, names, _ = find_rows(card_detector, night, identifier="p12-40")
    assert (frame["id"].tolist(), names) == (["p12-40"], ["night.parquet:41"])
    with pytest.raises(DataError, match="no row whose id is 'p99'"):
        find_rows(card_detector, night, identifier="p99")
    with pytest.raises(ConfigError, match="no id column"):
        find_rows(table_detector, rows, identifier="t50-1")


def test_without_a_name_the_strangest_rows_that_can_be_scored_are_shown(table_detector, tmp_path):
    frame = labelled_transactions(32, 2)
    frame.loc[[4, 31], "amount"] = np.inf
    frame.loc[9, "amount"] = 90_000.0
    frame.to_csv(tmp_path / "rows.csv", index=False)
    names = find_rows(table_detector, str(tmp_path / "rows.csv"), top=2).names
    assert names == ["rows.csv:10", "rows.csv:31"]
    frame.assign(amount=np.inf).to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(DataError, match="No row of the table can be read"):
        find_rows(table_detector, str(tmp_path / "bad.csv"))


def test_a_hole_is_boxed_in_the_images_own_pixels(image_detector, tmp_path):
    surface(801, hole=True).resize((128, 96)).save(tmp_path / "hole.png")
    (one,) = inspect_images(image_detector, [tmp_path / "hole.png"])
    assert one.is_anomaly
    assert one.reasons
    hottest = one.regions[0]
    assert hottest["left"] < 2 * 31 < hottest["right"] <= 128
    assert hottest["top"] < 1.5 * 31 < hottest["bottom"] <= 96
    assert one.image is None


def test_an_image_has_the_same_answers_as_the_detector_gives(image_detector, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        surface(ord(name)).save(tmp_path / name / "0.png")
    told = []
    found = inspect_images(image_detector, [tmp_path / "a", tmp_path / "b"],
                           progress=lambda *step: told.append(step))  # fmt: skip
    paths = [tmp_path / "a" / "0.png", tmp_path / "b" / "0.png"]
    assert [one.id for one in found] == ["a/0.png", "b/0.png"]  # one name is not enough
    scores = [one.anomaly_score for one in found]
    np.testing.assert_allclose(scores, image_detector.anomaly_score(paths), rtol=1e-6)
    assert told[-1] == ("inspect", 2, 2)


def test_an_image_is_scored_once_for_all_that_is_told_of_it(image_detector, tmp_path, monkeypatch):
    surface(3, hole=True).save(tmp_path / "part.png")
    scored, examine = [], type(image_detector).examine

    def counted(self, X, **given):
        scored.append(X)
        return examine(self, X, **given)

    monkeypatch.setattr(type(image_detector), "examine", counted)
    inspection = inspect_images(image_detector, [tmp_path / "part.png"])[0]
    assert len(scored) == 1
    assert inspection.reasons


def test_a_card_is_written_for_each_image(image_detector, tmp_path):
    surface(3).save(tmp_path / "part.png")
    (one,) = inspect_images(image_detector, [tmp_path / "part.png"], tmp_path / "why")
    with Image.open(one.image) as card:
        assert card.size[0] > 800
    assert [path.name for path in (tmp_path / "why").iterdir()] == ["part.png"]


def test_an_image_that_cannot_be_read_is_named(image_detector, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"broken\.png"):
        inspect_images(image_detector, [tmp_path / "broken.png"])
