"""Confirmed anomalies train nothing: they are found by id, left out, counted and named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from jobs.test_training_rows import OF_CUSTOMERS, payments, timed, written
from tracking.real_models import write_surfaces

from vae_anomaly import ImageVAEDetector, load_detector
from vae_anomaly.errors import ModelRefusedError
from vae_anomaly.jobs import ConfirmedAnomalies, Destination, TableColumns, confirmed_anomalies
from vae_anomaly.jobs.confirmed import ConfirmedRows
from vae_anomaly.jobs.train_images import train_images_job
from vae_anomaly.jobs.training_rows import TrainingHistories, read_training_rows
from vae_anomaly.tracking import import_feedback

LABELLED = TableColumns(label="kind", id_column="id")


def confirmed(*ids: str) -> ConfirmedAnomalies:
    return ConfirmedAnomalies("cards", frozenset(ids))


def judged(**said: bool) -> pd.DataFrame:
    blank = {"audit": False, "who": None, "when": pd.NaT}
    return pd.DataFrame([{"item": i.replace("_", "-"), "is_anomaly": v, **blank}
                         for i, v in said.items()])  # fmt: skip


@pytest.mark.parametrize("sample_rows", [3000, 2000], ids=["whole", "sampled"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_are_found_by_their_id_or_by_file_and_number(suffix, sample_rows, tmp_path):
    files = written(payments(3000), tmp_path, suffix)
    both = confirmed("p00003", "p02999", "gone", f"a.{suffix}#4", f"b.{suffix}#1500", "a#b", "x#0")
    by_id = ConfirmedRows(both, tmp_path, "id")
    rows = read_training_rows(files, LABELLED, sample_rows=sample_rows, seed=0, confirmed=by_id)
    assert rows.confirmed == ("p00003",)  # the other one is left out by its label
    assert not {"p00003", "p02999"} & set(rows.normal["id"])
    assert (rows.n_normal, rows.n_anomalous, rows.n_read) == (2939, 60, 3000)
    out = by_id.left_out(rows.confirmed)
    assert (out.n_found, out.n_elsewhere, out.warnings()) == (2, 5, ())
    by_number = ConfirmedRows(both, [tmp_path])
    rows = read_training_rows(files, sample_rows=sample_rows, seed=0, confirmed=by_number)
    assert rows.confirmed == (f"a.{suffix}#4", f"b.{suffix}#1500")
    assert not {"p00003", "p02999"} & set(rows.normal["id"])
    assert rows.n_normal == 2998


def test_where_nothing_is_confirmed_the_same_rows_train(tmp_path):
    files = written(payments(3000), tmp_path, "parquet")
    plain = read_training_rows(files, sample_rows=500, seed=0)
    with_none = read_training_rows(
        files, sample_rows=500, seed=0, confirmed=ConfirmedRows(confirmed("other"), tmp_path)
    )
    pd.testing.assert_frame_equal(plain.normal, with_none.normal)


@pytest.mark.parametrize("sample_rows", [3000, 500], ids=["whole", "sampled"])
@pytest.mark.parametrize("id_column", [None, "id"])
def test_a_confirmed_row_stays_part_of_its_customers_past(id_column, sample_rows, tmp_path):
    frame = timed(3000)
    files = written(frame, tmp_path, "csv")
    wanted = int(np.flatnonzero(frame["at"].to_numpy() == frame["at"].max())[0])
    name = "id" if id_column else "file and number"
    called = {"id": frame["id"][wanted], "file and number": f"a.csv#{wanted + 1}"}[name]
    past, whole = (TrainingHistories(files, OF_CUSTOMERS) for _ in range(2))
    rows = read_training_rows(
        files, sample_rows=sample_rows, seed=0, histories=past,
        confirmed=ConfirmedRows(confirmed(called), tmp_path, id_column),
    )  # fmt: skip
    assert rows.confirmed == (called,)
    assert frame["id"][wanted] not in set(rows.normal["id"])
    whole.frame()
    assert past.histories.digest() == whole.histories.digest()


def test_ids_of_another_kind_are_warned_of_with_both_names(tmp_path):
    files = written(payments(40), tmp_path, "csv")
    rows = ConfirmedRows(confirmed("T-1"), tmp_path)
    (said,) = rows.left_out(read_training_rows(files, confirmed=rows).confirmed).warnings()
    assert "'T-1'" in said
    assert "'a.csv#1'" in said
    assert "--id-column" in said


def test_only_confirmed_verdicts_count_and_a_new_model_has_none(registered):
    uri = registered.store
    import_feedback("cards", judged(t0_1=True, t0_2=False, t0_3=True), uri=uri)
    import_feedback("cards", judged(t0_3=False), uri=uri)  # the last verdict counts
    assert confirmed_anomalies("models:/cards@champion", uri).ids == {"t0-1"}
    assert confirmed_anomalies("new", uri, may_be_new=True).ids == frozenset()
    with pytest.raises(ModelRefusedError, match="new"):
        confirmed_anomalies("new", uri)


def test_a_confirmed_image_is_not_trained_on_and_the_model_knows(tmp_path):
    parts = write_surfaces(tmp_path / "parts", 16, first=300)
    detector = ImageVAEDetector(preset="fast", image_size=64, max_steps=5, random_state=0)
    report = train_images_job(
        detector, parts, Destination(folder=tmp_path / "m", report=False),
        leave_out=confirmed("003.png", "999.png"),
    )  # fmt: skip
    assert (report.reading.n_confirmed, report.reading.n_confirmed_elsewhere) == (1, 1)
    assert "003.png" in "".join(report.reading.notes)
    assert report.metrics["left_out_confirmed"] == 1.0
    assert report.metrics["n_images"] == 15.0
    assert load_detector(tmp_path / "m").left_out_confirmed_ == ("003.png",)
