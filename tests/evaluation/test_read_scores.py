"""Scores read back from a scored folder or a file of anybody's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tracking.real_models import transactions

from vae_anomaly.batch import read_results, score_tables
from vae_anomaly.errors import ConfigError, DataError
from vae_anomaly.evaluation import evaluate, read_scores
from vae_anomaly.thresholds import Threshold


@pytest.fixture
def scores(tmp_path):
    """A file of five scores."""
    frame = pd.DataFrame({"id": list("abcde"), "score": [0.1, 0.2, 3.0, 0.4, 2.5]})
    frame["shop"], frame["euro"] = [7, 7, 8, 8, 9], ["1.50", "2", "3", "n.a.", ""]
    frame.to_csv(tmp_path / "scores.csv", index=False)
    return tmp_path / "scores.csv"


def test_a_scored_folder_gives_back_scores_flags_and_the_model(table_model, tmp_path):
    (tmp_path / "days").mkdir()
    for day in (1, 2):
        rows = transactions(30, seed=day)
        rows.loc[3, "amount"] = 90_000.0 if day == 1 else np.inf
        rows.to_parquet(tmp_path / "days" / f"{day}.parquet")
    score_tables(table_model, tmp_path / "days", tmp_path / "out", id_column="id")
    items, versions = read_scores(tmp_path / "out")
    written = read_results(tmp_path / "out")
    assert items.ids.tolist() == written["id"].tolist()
    assert items.scores.tolist() == written["score"].tolist()
    assert items.flagged.tolist() == written["is_anomaly"].tolist()
    assert items.flagged[items.ids == "t1-3"].all()
    assert "t2-3" not in items.ids  # it is in quarantine
    assert versions == tuple(written["model_version"].unique())


def test_labels_of_a_file_are_joined_by_the_id_and_the_unlabelled_counted(scores, tmp_path):
    labels = pd.DataFrame({"number": list("edca"), "kind": ["theft", "normal", "theft", "normal"]})
    labels.to_parquet(tmp_path / "labels.parquet")
    where = f"{tmp_path / 'labels.parquet'}:kind"
    items, versions = read_scores(scores, labels=where, id_column="number", groups="shop")
    assert dict(zip(items.ids, items.labels.tolist(), strict=True)) == {
        "a": False, "c": True, "d": False, "e": True,
    }  # fmt: skip
    assert items.groups.tolist() == ["7", "8", "8", "9"]
    assert (items.left_out, items.flagged, versions) == ({"without a label": 1}, None, ())


def test_labels_of_a_file_that_belong_to_no_item_are_counted_in_the_report(scores, tmp_path):
    labels = pd.DataFrame({"id": ["a", "c", "E", "zz"], "state": ["legit", "Fraud", "fraud", "ok"]})
    labels.to_csv(tmp_path / "labels.csv", index=False)
    items, _ = read_scores(scores, labels=f"{tmp_path / 'labels.csv'}:state")
    report = evaluate(items, Threshold.from_fpr(np.linspace(0.0, 3.0, 200), 0.05))
    assert (report.n_normals, report.n_anomalies) == (1, 1)
    assert (report.left_out, report.unused_labels) == ({"without a label": 3}, 2)
    assert report.to_dict()["unused_labels"] == 2


def test_labels_of_a_file_need_ids_beside_the_scores(scores, tmp_path):
    pd.read_csv(scores).drop(columns="id").to_csv(tmp_path / "bare.csv", index=False)
    with pytest.raises(ConfigError, match="nothing names the rows"):
        read_scores(tmp_path / "bare.csv", labels=f"{scores}:shop")


def test_generated_rows_are_no_evidence(scores):
    frame = pd.read_csv(scores).assign(synthetic=[False, True, False, False, True])
    frame.rename(columns={"score": "anomaly_score"}).to_csv(scores, index=False)
    items, _ = read_scores(scores, amounts="euro")
    assert (items.ids.tolist(), items.left_out) == (["a", "c", "d"], {"synthetic": 2})
    np.testing.assert_array_equal(items.amounts, [1.5, 3.0, np.nan])


@pytest.mark.parametrize("cell", ["", "inf", "high"])
def test_a_score_that_is_none_is_refused_with_its_row(scores, cell):
    frame = pd.read_csv(scores)
    frame["score"] = frame["score"].astype(object)
    frame.loc[2, "score"] = cell
    frame.to_csv(scores, index=False)
    with pytest.raises(DataError, match=r"1 of 5 scores .* row 3"):
        read_scores(scores)


def test_a_table_without_scores_says_what_it_has(scores):
    pd.read_csv(scores).rename(columns={"score": "points"}).to_csv(scores, index=False)
    with pytest.raises(DataError, match="no column score or anomaly_score; it has id, points"):
        read_scores(scores)


def test_stakes_are_read_as_their_column_writes_them(scores):
    frame = pd.read_csv(scores).assign(euro=["1,50 €", "1.200,00 €", "3 €", "n.a.", "(2,00 €)"])
    frame.to_csv(scores, index=False)
    items, _ = read_scores(scores, amounts="euro")
    np.testing.assert_array_equal(items.amounts, [1.5, 1200, 3, np.nan, -2])
    frame.assign(euro=["1,500", "1,200", "3", "4", "5"]).to_csv(scores, index=False)
    with pytest.raises(DataError, match="stake '1,500' in column 'euro' can be read in more than"):
        read_scores(scores, amounts="euro")
