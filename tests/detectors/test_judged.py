"""Batch, MLflow and evaluation judge alike: no NaN is normal, and one fault has one name."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tracking.real_models import (  # noqa: F401 - fixtures
    image_model,
    table_model,
    transactions,
    write_surfaces,
)

from vae_anomaly import ImageVAEDetector, load_detector
from vae_anomaly.batch import read_quarantine, read_results, score_images, score_tables
from vae_anomaly.data.tables.read import read_table
from vae_anomaly.detectors.judged import judge_images, judge_rows
from vae_anomaly.detectors.tabular.examination import TableExamination
from vae_anomaly.errors import CalibrationError
from vae_anomaly.evaluation import ScoredItems, inspect_images, inspect_rows, score_items
from vae_anomaly.tracking import _load_pyfunc

SICK = 2  # the item that the model gives no number
SICK_AMOUNT = 777.25


def _normal(flags) -> set[int]:
    return set(np.flatnonzero(~np.asarray(flags, dtype=bool)).tolist())


def batch_tables(model, days, out):
    score_tables(model, days, out, id_column="id", max_bad_fraction=1.0)
    results = read_results(out)
    return {int(name.rpartition("-")[2]) for name in results["id"][~results["is_anomaly"]]}


def mlflow_tables(model, days, out):
    return _normal(_load_pyfunc(model).predict(read_table(days))["is_anomaly"])


def evaluation_of_tables(model, days, out):
    detector = load_detector(model)
    items = score_items(detector, days)
    flags = items.flagged_by(detector.threshold_.value)
    return {int(name.removeprefix("row ")) - 1 for name in items.ids[~flags]}


def verdicts_on_rows(model, days, out):
    return _normal(
        judge_rows(load_detector(model), read_table(days), [None] * 6).verdicts.is_anomaly
    )


def detectors_flags(model, days, out):
    return _normal(load_detector(model).predict(read_table(days)) == -1)


def assessment(model, days, out):
    return _normal(load_detector(model).assess(read_table(days))["is_anomaly"])


def inspection_of_rows(model, days, out):
    found = inspect_rows(load_detector(model), read_table(days))
    return _normal([one.is_anomaly for one in found])


def batch_images(model, night, out):
    score_images(model, night, out, max_bad_fraction=1.0)
    results = read_results(out)
    return {int(Path(name).stem) for name in results["id"][~results["is_anomaly"]]}


def mlflow_images(model, night, out):
    contents = [path.read_bytes() for path in sorted(night.iterdir())]
    return _normal(_load_pyfunc(model).predict(pd.DataFrame({"image": contents}))["is_anomaly"])


def evaluation_of_images(model, night, out):
    detector = load_detector(model)
    items = score_items(detector, night)
    flags = items.flagged_by(detector.threshold_.value)
    return {int(Path(name).stem) for name in items.ids[~flags]}


def verdicts_on_images(model, night, out):
    judged = judge_images(load_detector(model), sorted(night.iterdir()))
    return _normal(judged.verdicts.is_anomaly)


TABLES = [batch_tables, mlflow_tables, evaluation_of_tables, verdicts_on_rows]
STRICT = [detectors_flags, assessment, inspection_of_rows]
IMAGES = [batch_images, mlflow_images, evaluation_of_images, verdicts_on_images]


@pytest.fixture
def days(tmp_path):
    rows = transactions(6, seed=9)
    rows.loc[SICK, "amount"] = SICK_AMOUNT
    rows.to_parquet(tmp_path / "day.parquet")
    return tmp_path / "day.parquet"


@pytest.fixture
def a_sick_row(monkeypatch):
    own = TableExamination.raw_score.func

    def raw_score(seen):
        return np.where(seen.frame["amount"] == SICK_AMOUNT, np.nan, own(seen))

    broken = cached_property(raw_score)
    broken.__set_name__(TableExamination, "raw_score")
    monkeypatch.setattr(TableExamination, "raw_score", broken)


@pytest.fixture
def a_sick_image(monkeypatch):
    own = ImageVAEDetector.examine

    def examine(self, X, **options):
        seen = own(self, X, **options)
        return replace(seen, raw_score=np.where(np.arange(len(X)) == SICK, np.nan, seen.raw_score))

    monkeypatch.setattr(ImageVAEDetector, "examine", examine)


@pytest.mark.parametrize("normal_rows", TABLES, ids=lambda way: way.__name__)
def test_a_row_without_a_number_is_never_normal(
    normal_rows, table_model, days, tmp_path, a_sick_row
):
    normal = normal_rows(table_model, days, tmp_path / "out")
    assert len(normal) >= 3
    assert SICK not in normal


@pytest.mark.parametrize("all_rows", STRICT, ids=lambda way: way.__name__)
def test_who_wants_a_verdict_on_every_row_gets_none(
    all_rows, table_model, days, tmp_path, a_sick_row
):
    with pytest.raises(CalibrationError, match="not finite"):
        all_rows(table_model, days, tmp_path / "out")


@pytest.mark.parametrize("normal_images", IMAGES, ids=lambda way: way.__name__)
def test_an_image_without_a_number_is_never_normal(
    normal_images, image_model, tmp_path, a_sick_image
):
    night = write_surfaces(tmp_path / "night", 6)
    normal = normal_images(image_model, night, tmp_path / "out")
    assert len(normal) >= 3
    assert SICK not in normal


def test_an_inspection_of_an_image_without_a_number_says_so(image_model, tmp_path, monkeypatch):
    night = write_surfaces(tmp_path / "night", 1)
    own = ImageVAEDetector.examine

    def examine(self, X, **options):
        return replace(own(self, X, **options), raw_score=np.array([np.nan]))

    monkeypatch.setattr(ImageVAEDetector, "examine", examine)
    with pytest.raises(CalibrationError, match="not finite"):
        inspect_images(load_detector(image_model), [night])


def test_scored_items_without_a_number_are_flagged():
    items = ScoredItems(np.arange(2).astype(object), np.array([0.0, np.nan]))
    assert items.flagged_by(1.0).tolist() == [False, True]


def quarantined(out: Path) -> dict[str, str]:
    (file,) = (out / "quarantine").iterdir()
    return {item.id: f"{item.code}: {item.message}" for item in read_quarantine(file)}


def told(caplog) -> dict[str, str]:
    texts = [record.getMessage() for record in caplog.records]
    parts = [text.split(": ", 2) for text in texts if text.startswith("left out: ")]
    return {name: fault for _, name, fault in parts}


def test_a_bad_row_has_one_name_wherever_it_is_scored(table_model, tmp_path, caplog, a_sick_row):
    rows = transactions(9, seed=9).astype({"amount": object, "when": object})
    rows.loc[SICK, "amount"] = SICK_AMOUNT
    rows.loc[4, "amount"], rows.loc[5, "amount"], rows.loc[6, "when"] = "inf", "much", "yesterday?"
    rows.to_csv(tmp_path / "day.csv", index=False)
    score_tables(
        table_model, tmp_path / "day.csv", tmp_path / "out", id_column="id", max_bad_fraction=1.0
    )
    expected = quarantined(tmp_path / "out")
    assert [fault.partition(":")[0] for fault in expected.values()] == [
        "nonfinite_score", "infinite", "not_a_number", "not_a_time",
    ]  # fmt: skip
    answers = _load_pyfunc(table_model).predict(read_table(tmp_path / "day.csv"))
    bad = answers["status"][answers["status"] != "scored"]
    assert {f"t9-{row}": status for row, status in bad.items()} == expected
    with caplog.at_level(logging.WARNING):
        items = score_items(load_detector(table_model), tmp_path / "day.csv")
    assert told(caplog) == {
        f"row {int(name.rpartition('-')[2]) + 1}": fault for name, fault in expected.items()
    }
    assert items.left_out == {"unreadable": 3, "without a finite score": 1}


def test_a_bad_image_has_one_name_wherever_it_is_scored(image_model, tmp_path, caplog):
    night = write_surfaces(tmp_path / "night", 5)
    (night / "001.png").write_bytes(b"no image")
    (night / "003.png").write_bytes((night / "003.png").read_bytes()[:300])
    (night / "004.png").write_bytes(b"")
    score_images(image_model, night, tmp_path / "out", max_bad_fraction=1.0)
    expected = quarantined(tmp_path / "out")
    codes = {name: fault.partition(":")[0] for name, fault in expected.items()}
    assert codes == {"001.png": "not_an_image", "003.png": "truncated", "004.png": "empty"}
    contents = [path.read_bytes() for path in sorted(night.iterdir())]
    status = _load_pyfunc(image_model).predict(pd.DataFrame({"image": contents}))["status"]
    assert [text.partition(":")[0] for text in status] == [
        codes.get(f"{number:03d}.png", "scored") for number in range(5)
    ]
    with caplog.at_level(logging.WARNING):
        items = score_items(load_detector(image_model), night)
    assert told(caplog) == expected
    assert items.left_out == {"unreadable": 3}
