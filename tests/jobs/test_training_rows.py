"""What a training sees of a table: all of a short one, a sample of a long one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vae_anomaly import TabularVAEDetector, load_detector
from vae_anomaly.data.tables.entity_histories import EntityColumns, EntityHistories
from vae_anomaly.data.tables.files import list_partitions
from vae_anomaly.data.tables.read import read_table
from vae_anomaly.errors import ConfigError, DataError
from vae_anomaly.jobs import Destination, TableColumns, train_table_job
from vae_anomaly.jobs.training_rows import TrainingHistories, read_training_rows

LABELLED = TableColumns(label="kind", id_column="id")


def payments(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": [f"p{i:05d}" for i in range(n)],
            "customer": rng.integers(0, n // 10, n),
            "amount": rng.lognormal(size=n),
            "shop": rng.choice(["007", "12", "kiosk"], n),
            "kind": np.where(np.arange(n) < n - n // 50, "good", "fraud"),  # all at the end
        }
    )


def written(frame: pd.DataFrame, folder: Path, suffix: str) -> list[Path]:
    """Write a table as two files."""
    half = len(frame) // 2
    for name, part in (("a", frame[:half]), ("b", frame[half:])):
        if suffix == "csv":
            part.to_csv(folder / f"{name}.csv", index=False)
        else:
            part.to_parquet(folder / f"{name}.parquet", row_group_size=100)
    return list_partitions(folder)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_that_fits_is_used_whole(suffix, tmp_path):
    files = written(payments(600), tmp_path, suffix)
    rows = read_training_rows(files, sample_rows=600)
    pd.testing.assert_frame_equal(rows.normal, read_table(files))
    assert rows.fingerprint is None
    assert not rows.is_sample


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_longer_table_is_sampled_with_its_types(suffix, tmp_path):
    frame = payments(3000)
    rows = read_training_rows(written(frame, tmp_path, suffix), sample_rows=500, seed=0)
    assert (len(rows.normal), rows.n_read, rows.is_sample) == (500, 3000, True)
    expected = frame.set_index("id").loc[rows.normal["id"]].reset_index()
    pd.testing.assert_frame_equal(rows.normal, expected, check_dtype=suffix == "csv")


def test_the_same_rows_are_drawn_from_csv_and_parquet(tmp_path):
    drawn = []
    for suffix in ("csv", "parquet"):
        (tmp_path / suffix).mkdir()
        files = written(payments(2000), tmp_path / suffix, suffix)
        drawn.append(read_training_rows(files, sample_rows=300, seed=5).normal["id"].tolist())
    assert drawn[0] == drawn[1]


def test_labelled_anomalies_are_left_out_of_a_long_table(tmp_path):
    files = written(payments(3000), tmp_path, "parquet")
    rows = read_training_rows(files, TableColumns(label="kind"), sample_rows=500, seed=0)
    assert set(rows.normal["kind"]) == {"good"}
    assert set(rows.anomalous["kind"]) == {"fraud"}
    assert (len(rows.normal), rows.n_normal, len(rows.anomalous), rows.n_anomalous) == (
        500, 2940, 60, 60,
    )  # fmt: skip


def test_labels_of_a_long_table_may_lie_in_another_file(tmp_path):
    frame = payments(3000)
    (tmp_path / "days").mkdir()
    files = written(frame.drop(columns="kind"), tmp_path / "days", "csv")
    labels = frame.loc[frame["kind"] == "fraud", ["id"]].assign(is_fraud=1)
    labels.to_csv(tmp_path / "labels.csv", index=False)
    label = f"{tmp_path / 'labels.csv'}:is_fraud"
    rows = read_training_rows(
        files, TableColumns(label=label, id_column="id"), sample_rows=500, seed=0
    )
    assert sorted(rows.anomalous["id"]) == sorted(labels["id"])
    assert rows.n_normal == 2940
    labels.assign(id="x" + labels["id"]).to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(DataError, match="labels none of the rows"):
        read_training_rows(files, TableColumns(label=label, id_column="id"), sample_rows=500)


def test_a_long_column_that_holds_no_labels_is_refused(tmp_path):
    files = written(payments(3000), tmp_path, "csv")
    with pytest.raises(DataError, match="'amount' holds no labels"):
        read_training_rows(files, TableColumns(label="amount"), sample_rows=500)


def test_whole_groups_are_drawn_where_many_fit(tmp_path):
    frame = payments(3000)
    rows = read_training_rows(
        written(frame, tmp_path, "csv"), TableColumns(groups="customer"), sample_rows=500, seed=0
    )
    sizes = frame["customer"].astype(str).value_counts()
    found = rows.normal["customer"].value_counts()
    assert 400 < len(rows.normal) <= 500
    assert all(sizes[customer] == count for customer, count in found.items())


def test_rows_of_all_groups_are_drawn_where_groups_are_few_and_large(tmp_path):
    frame = payments(3000).assign(customer=np.arange(3000) % 4)
    rows = read_training_rows(
        written(frame, tmp_path, "csv"), TableColumns(groups="customer"), sample_rows=500, seed=0
    )
    assert len(rows.normal) == 500
    assert rows.normal["customer"].nunique() == 4


def test_an_unknown_group_column_of_a_long_table_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="'client' is not in the table"):
        read_training_rows(
            written(payments(3000), tmp_path, "csv"), TableColumns(groups="client"), sample_rows=500
        )


def test_the_fingerprint_of_a_long_file_is_its_sha256(tmp_path):
    payments(3000).to_csv(tmp_path / "day.csv", index=False)
    rows = read_training_rows([tmp_path / "day.csv"], sample_rows=500)
    digest = hashlib.sha256((tmp_path / "day.csv").read_bytes()).hexdigest()
    assert rows.fingerprint is not None
    assert (rows.fingerprint["sha256"], rows.fingerprint["over"]) == (digest, "files")


def test_files_with_other_columns_are_refused(tmp_path):
    payments(3000).to_csv(tmp_path / "a.csv", index=False)
    payments(100).rename(columns={"shop": "store"}).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(DataError, match=r"b\.csv.*differ in column 'shop'"):
        read_training_rows(list_partitions(tmp_path), sample_rows=500)


def test_training_on_a_long_table_says_how_much_was_held(tmp_path):
    (tmp_path / "days").mkdir()
    written(payments(3000), tmp_path / "days", "parquet")
    detector = TabularVAEDetector(preset="fast", hidden=8, max_steps=3, random_state=0)
    where = Destination(folder=tmp_path / "model")
    report = train_table_job(detector, tmp_path / "days", where, LABELLED, sample_rows=1000)
    assert (report.reading.n_read, report.reading.n_left_out) == (3000, 60)
    assert "sample of 1,000 of 2,940 normal rows" in " ".join(report.reading.notes)
    assert (report.metrics["rows"], report.metrics["sampled_rows"]) == (2940.0, 1000.0)
    assert report.metrics["labelled_anomalies"] == 60.0
    assert load_detector(tmp_path / "model").fingerprint_["over"] == "files"


def timed(n: int) -> pd.DataFrame:
    """Return payments of 20 days, the newest file first."""
    frame = payments(n)
    times = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(n) * 20 / n, unit="D")
    half = n // 2
    return frame.assign(at=np.roll(times.astype(str), half))


OF_CUSTOMERS = EntityColumns(("customer",), time="at", amount="amount")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_sampled_rows_have_the_past_that_they_have_in_the_whole_table(suffix, tmp_path):
    files = written(timed(3000), tmp_path, suffix)
    past, whole = (TrainingHistories(files, OF_CUSTOMERS) for _ in range(2))
    rows = read_training_rows(
        files, TableColumns(label="kind"), sample_rows=500, seed=0, histories=past
    )
    expected = whole.frame().set_index("id")
    assert (len(rows.normal), past.n_read, rows.n_read) == (500, 3000, len(expected))
    for found in (rows.normal, rows.anomalous):
        wanted = expected.loc[found["id"]].reset_index()[found.columns]
        pd.testing.assert_frame_equal(found, wanted, check_dtype=False)
    assert rows.normal["customer: amount / usual"].notna().mean() > 0.9
    assert past.histories.digest() == whole.histories.digest()
    assert past.notes == whole.notes
    assert "first 5.0 days (750 rows)" in past.notes[0]


def test_a_sample_without_labels_has_the_histories_columns_on_both_sides(tmp_path):
    files = written(timed(3000).drop(columns="kind"), tmp_path, "parquet")
    past = TrainingHistories(files, OF_CUSTOMERS)
    rows = read_training_rows(files, sample_rows=500, seed=0, histories=past)
    assert "customer: pace" in rows.normal.columns
    assert list(rows.anomalous.columns) == list(rows.normal.columns)
    assert rows.anomalous.empty


def test_a_long_table_trains_with_the_histories_of_all_its_rows(tmp_path):
    files = written(timed(3000), tmp_path, "parquet")
    wanted = TrainingHistories(files, OF_CUSTOMERS)
    wanted.frame()
    detector = TabularVAEDetector(random_state=0, max_steps=20, preset="fast")
    report = train_table_job(
        detector, tmp_path, Destination(folder=tmp_path / "model"), LABELLED,
        sample_rows=1000, entities=OF_CUSTOMERS,
    )  # fmt: skip
    loaded = load_detector(tmp_path / "model")
    assert loaded.entities_.digest() == wanted.histories.digest()
    assert report.reading.n_read == 3000
    assert "750 rows" in report.reading.notes[0]


def test_a_column_of_a_features_name_is_refused_in_a_long_table(tmp_path):
    frame = timed(3000).assign(**{"customer: pace": 1.0})
    files = written(frame, tmp_path, "parquet")
    with pytest.raises(DataError, match="'customer: pace'"):
        read_training_rows(files, sample_rows=500, histories=TrainingHistories(files, OF_CUSTOMERS))


def test_amounts_of_entities_are_read_as_their_column_writes_them(tmp_path):
    plain, german = tmp_path / "plain", tmp_path / "german"
    for folder, amounts in ((plain, ["12.50", "1234"]), (german, ["12,50", "1.234"])):
        folder.mkdir()
        for day, amount in enumerate(amounts, start=1):
            cells = [f"{i % 3};2026-01-{day:02d} {i:02d}:00;{amount}" for i in range(24)]
            text = "\n".join(["card;at;euro", *cells]) + "\n"
            (folder / f"{day}.csv").write_text(text, encoding="utf-8")
    columns = EntityColumns(("card",), time="at", amount="euro")
    first, second = (TrainingHistories(list_partitions(f), columns) for f in (plain, german))
    features = [h.frame()[list(h.histories.names)] for h in (first, second)]
    pd.testing.assert_frame_equal(*features)
    assert features[0]["card: amount / usual"].notna().any()
    assert second.histories.columns.amount_format == "1.234,5"
    file = second.histories.save(tmp_path / "state.npz")
    assert EntityHistories.load(file).columns == second.histories.columns


def test_amounts_of_entities_that_could_be_read_in_two_ways_are_asked_about(tmp_path):
    cells = [f"a;2026-01-01 {i:02d}:00;{i + 1},{i + 100}" for i in range(24)]
    text = "\n".join(["card;at;euro", *cells]) + "\n"
    (tmp_path / "day.csv").write_text(text, encoding="utf-8")
    columns = EntityColumns(("card",), time="at", amount="euro")
    with pytest.raises(DataError, match=r"amounts cannot be read.*--number-format euro=1,234.5"):
        TrainingHistories([tmp_path / "day.csv"], columns)
    said = TableColumns(number_formats={"euro": "1,234.5"}, missing={"": ["leer"]})
    histories = TrainingHistories([tmp_path / "day.csv"], said.of_entities(columns))
    assert histories.histories.columns.amounts(histories.frame()).max() == 24123
