"""What MLflow's users get: the detector's own scores, and nothing unscored that looks normal."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tracking.real_models import surface, transactions

from vae_anomaly import load_detector
from vae_anomaly.errors import SchemaError
from vae_anomaly.tracking import _load_pyfunc, load, log_training
from vae_anomaly.tracking.store import quiet

UNREADABLE = [
    (np.inf, "infinite"),
    (-np.inf, "infinite"),
]


def png(seed: int, *, hole: bool = False) -> bytes:
    buffer = io.BytesIO()
    surface(seed, hole=hole).save(buffer, format="PNG")
    return buffer.getvalue()


def test_answers_are_the_detectors(table_model):
    rows = transactions(50, seed=9)
    rows.loc[3, "amount"] = 90_000.0
    detector, answers = load_detector(table_model), _load_pyfunc(table_model).predict(rows)
    assert answers["score"].tolist() == detector.anomaly_score(rows).tolist()
    assert answers["p_value"].tolist() == detector.p_value(rows).tolist()
    assert answers["is_anomaly"].tolist() == (detector.predict(rows) == -1).tolist()
    assert answers["is_anomaly"][3]
    assert "amount" in answers["reason_1"][3]
    assert (answers["reason_1"][~answers["is_anomaly"]] == "").all()


def test_missing_cells_are_data(table_model):
    rows = transactions(4, seed=9).astype({"merchant": object, "online": object})
    for row, name in enumerate(("amount", "merchant", "online", "when")):
        rows.loc[row, name] = None
    answers = _load_pyfunc(table_model).predict(rows)
    assert answers["status"].tolist() == ["scored"] * 4
    assert np.isfinite(answers["score"]).all()


@pytest.mark.parametrize(("cell", "code"), UNREADABLE)
def test_row_that_cannot_be_scored_never_comes_out_as_normal(cell, code, table_model):
    rows = transactions(6, seed=9)
    rows.loc[2, "amount"] = cell
    answers = _load_pyfunc(table_model).predict(rows)
    assert answers["is_anomaly"][2]
    assert np.isnan(answers["score"][2])
    assert answers["status"][2].startswith(f"{code}: column 'amount'")
    assert answers["status"].drop(2).eq("scored").all()


def test_score_that_is_not_finite_never_comes_out_as_normal(table_model, monkeypatch):
    predictor = _load_pyfunc(table_model)
    examine = predictor.detector.examine

    def without_numbers(rows):
        seen = examine(rows)
        vars(seen)["raw_score"] = np.array([np.nan, 0.0, -np.inf, np.inf])
        return seen

    monkeypatch.setattr(predictor.detector, "examine", without_numbers)
    answers = predictor.predict(transactions(4, seed=9))
    assert answers["is_anomaly"].tolist() == [True, False, True, True]
    assert answers["status"].str.startswith("nonfinite_score").tolist() == [True, False, True, True]


def test_table_without_a_column_is_refused(table_model):
    with pytest.raises(SchemaError, match="amount"):
        _load_pyfunc(table_model).predict(transactions(3, seed=9).drop(columns="amount"))


def test_images_come_as_encoded_bytes(image_model):
    contents = [png(1), b"no image", png(2, hole=True), b""]
    answers = _load_pyfunc(image_model).predict(pd.DataFrame({"image": contents}))
    detector = load_detector(image_model)
    expected = detector.anomaly_score([np.asarray(surface(1)), np.asarray(surface(2, hole=True))])
    np.testing.assert_allclose(answers["score"][[0, 2]], expected, rtol=1e-5)
    assert answers["is_anomaly"].tolist() == [False, True, True, True]
    assert answers["status"][1].startswith("not_an_image")
    assert answers["status"][3].startswith("empty")


def deep_png(seed: int) -> bytes:
    """The same surface by a camera whose white is 4080, in a file of 16 bits."""
    buffer = io.BytesIO()
    pixels = np.asarray(surface(seed).convert("L")).astype(np.uint16) * 16
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def test_a_request_may_tell_the_white_of_its_images(image_model):
    predict = _load_pyfunc(image_model).predict
    contents = [deep_png(1), deep_png(1), deep_png(1), png(1)]
    told = pd.DataFrame({"image": contents, "white": [4080, None, "bright", None]}, dtype=object)
    answers, plain = predict(told), predict(pd.DataFrame({"image": [png(1)]}))
    assert answers["status"].str.split(":").str[0].tolist() == [
        "scored", "bit_depth", "white", "scored",
    ]  # fmt: skip
    np.testing.assert_allclose(answers["score"][[0, 3]], plain["score"].repeat(2), rtol=1e-3)
    assert predict(told.drop(columns="white"))["status"][0].startswith("bit_depth")


def test_mlflow_loads_both_kinds_and_enforces_the_signature(store, table_model, image_model):
    images = pd.DataFrame({"image": [png(1)]})
    rows = transactions(3, seed=9).astype({"merchant": object})
    for folder, name, given in ((table_model, "cards", rows), (image_model, "tiles", images)):
        made = log_training(load_detector(folder), name=name, uri=store)
        _, model = load(made.uri, store)
        with quiet():
            import mlflow.pyfunc
            from mlflow.exceptions import MlflowException

            flavor = mlflow.pyfunc.load_model(str(model.path.parents[1]))
            answers = flavor.predict(given)
            with pytest.raises(MlflowException):
                flavor.predict(given.rename(columns=str.upper))
        assert list(answers.columns[:4]) == ["score", "p_value", "is_anomaly", "status"]
        assert answers["status"].eq("scored").all()
