"""Scoring with a past: only tonight's rows and the state are needed, and no row sees its future."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from batch.entity_nights import payments

from vae_anomaly import load_detector
from vae_anomaly.batch import read_manifest, read_results, score_tables
from vae_anomaly.batch.output.ledger import Ledger
from vae_anomaly.data.tables.entity_histories import EntityHistories
from vae_anomaly.errors import ConfigError, DataError, ModelRefusedError


def scores(out: Path) -> pd.Series:
    return read_results(out).set_index("id")["score"].sort_index()


def results(hashes, out):
    """Return all that was written, but for which runs wrote it."""
    files = {name: digest for name, digest in hashes(out).items() if name != "manifest.json"}
    return files, read_manifest(out)["partitions"]


def test_each_night_alone_gives_what_all_in_one_run_give(card_model, nights, tmp_path, hashes):
    for night in sorted(nights.iterdir()):
        score_tables(card_model, night, tmp_path / "nightly")
    score_tables(card_model, nights, tmp_path / "at once", workers=2)
    assert results(hashes, tmp_path / "nightly") == results(hashes, tmp_path / "at once")
    assert [len(run) for run in read_manifest(tmp_path / "nightly")["nights"]] == [1, 1, 1]


def test_scores_are_those_of_the_whole_past_at_once(card_model, nights, tmp_path):
    score_tables(card_model, nights, tmp_path / "out")
    detector = load_detector(card_model)
    rows = pd.concat([pd.read_parquet(night) for night in sorted(nights.iterdir())])
    rows = rows.reset_index(drop=True)
    expected = detector.anomaly_score(detector.entities_.copy().extend(rows))
    np.testing.assert_allclose(
        scores(tmp_path / "out"), pd.Series(expected, rows["id"]).sort_index(), rtol=1e-6
    )


def test_what_comes_later_changes_no_earlier_score(card_model, nights, tmp_path):
    score_tables(card_model, nights, tmp_path / "out")
    late = pd.read_parquet(nights / "night13.parquet")
    cut = len(late) // 2
    late.loc[cut:, "euro"] *= 50.0
    late.to_parquet(nights / "night13.parquet")
    score_tables(card_model, nights, tmp_path / "changed")
    earlier = [f"p12-{i}" for i in range(60)] + late["id"][:cut].tolist()
    before, after = scores(tmp_path / "out"), scores(tmp_path / "changed")
    pd.testing.assert_series_equal(before[earlier], after[earlier])
    assert (before != after).any()


def test_the_past_matters(card_model, tmp_path):
    """The same amount is usual for one card and strange for another."""
    night = payments(12).iloc[:2].assign(card=["card 0", "card 4"], euro=700.0)
    night.to_parquet(tmp_path / "night.parquet")
    score_tables(card_model, tmp_path / "night.parquet", tmp_path / "out")
    strange, usual = scores(tmp_path / "out")[night["id"].tolist()]
    assert strange > usual


def test_a_second_run_of_a_night_does_nothing_and_a_lost_output_comes_back_the_same(
    card_model, nights, tmp_path, hashes
):
    out = tmp_path / "out"
    score_tables(card_model, nights, out)
    before = results(hashes, out)
    assert score_tables(card_model, nights / "night13.parquet", out).skipped == 1
    (out / "part-night13.parquet").unlink()
    assert score_tables(card_model, nights / "night13.parquet", out).skipped == 0
    assert results(hashes, out) == before


def test_the_state_is_listed_with_its_hash_and_holds_only_what_it_needs(
    card_model, nights, tmp_path
):
    score_tables(card_model, nights, tmp_path / "out")
    entry = read_manifest(tmp_path / "out")["partitions"][0]
    assert "state/night12.npz" in entry["files"]
    assert entry["history"]["before_until"] < entry["history"]["until"]
    state = EntityHistories.load(tmp_path / "out" / "state" / "night12.npz")
    assert state.until == payments(12)["at"].max().value
    assert b"p12-0" not in (tmp_path / "out" / "state" / "night12.npz").read_bytes()


def test_another_folder_goes_on_from_the_state_of_the_first(card_model, nights, tmp_path, hashes):
    first, *rest = sorted(nights.iterdir())
    score_tables(card_model, first, tmp_path / "may")
    for number, state in enumerate([tmp_path / "may", tmp_path / "may/state/night12.npz"]):
        score_tables(card_model, rest, tmp_path / f"june{number}", state=state)
    score_tables(card_model, nights, tmp_path / "out")
    wanted = hashes(tmp_path / "out")
    for name in ("part-night13.parquet", "part-night14.parquet", "state/night14.npz"):
        assert hashes(tmp_path / "june0")[name] == wanted[name]
        assert hashes(tmp_path / "june1")[name] == wanted[name]


def test_rows_older_than_the_histories_are_refused_with_both_times(card_model, tmp_path):
    payments(3).to_parquet(tmp_path / "old.parquet")
    with pytest.raises(DataError, match=r"ends at 2026-01-04 .* already reach 2026-01-12 23"):
        score_tables(card_model, tmp_path / "old.parquet", tmp_path / "out")
    assert not list((tmp_path / "out").glob("part-*"))


def test_a_forgotten_night_is_refused_until_the_later_ones_come_with_it(
    card_model, nights, tmp_path, hashes
):
    out, forgotten = tmp_path / "out", nights / "night13.parquet"
    others = [nights / "night12.parquet", nights / "night14.parquet"]
    score_tables(card_model, others, out)
    before = hashes(out)
    with pytest.raises(DataError, match=r"until 2026-01-15 .* was scored without it"):
        score_tables(card_model, forgotten, out)
    assert hashes(out) == before
    assert score_tables(card_model, nights, out).skipped == 1
    score_tables(card_model, nights, tmp_path / "straight")
    assert results(hashes, out) == results(hashes, tmp_path / "straight")


def test_a_changed_night_takes_the_nights_after_it_along(card_model, nights, tmp_path, hashes):
    out = tmp_path / "out"
    score_tables(card_model, nights, out)
    payments(13, per_day=50).to_parquet(nights / "night13.parquet")
    with pytest.raises(DataError, match="was scored without it"):
        score_tables(card_model, nights / "night13.parquet", out)
    assert score_tables(card_model, nights, out).skipped == 1
    score_tables(card_model, nights, tmp_path / "straight")
    assert hashes(out) == hashes(tmp_path / "straight")


def test_nights_are_taken_in_the_order_of_time_whatever_their_names(card_model, nights, tmp_path):
    score_tables(card_model, nights, tmp_path / "out")
    (nights / "night12.parquet").rename(nights / "zz.parquet")
    score_tables(card_model, nights, tmp_path / "renamed")
    pd.testing.assert_series_equal(scores(tmp_path / "out"), scores(tmp_path / "renamed"))


def test_a_state_that_was_lost_or_changed_is_not_gone_on_from(card_model, nights, tmp_path):
    out = tmp_path / "out"
    score_tables(card_model, [nights / "night12.parquet"], out)
    (out / "state/night12.npz").unlink()
    with pytest.raises(DataError, match="Score the night that it belongs to again"):
        score_tables(card_model, nights / "night13.parquet", out)
    assert score_tables(card_model, nights, out).partitions == 3


def test_bad_rows_go_to_quarantine_and_leave_no_trace_in_the_histories(card_model, tmp_path):
    night = payments(12)
    bad = night.astype({"euro": object, "at": object})
    bad.loc[3, "euro"], bad.loc[4, "at"] = np.inf, None
    bad.astype({"euro": float, "at": "datetime64[ns]"}).to_parquet(tmp_path / "night.parquet")
    summary = score_tables(card_model, tmp_path / "night.parquet", tmp_path / "out")
    assert summary.codes == {"infinite": 1}
    state = EntityHistories.load(tmp_path / "out/state/night.npz")
    wanted = load_detector(card_model).entities_.copy()
    wanted.process(night.drop(index=[3, 4]))
    assert state.digest() == wanted.digest()


def test_a_row_that_came_twice_is_remembered_once(card_model, tmp_path):
    night = payments(12)
    pd.concat([night, night.iloc[[5]]]).to_parquet(tmp_path / "night.parquet")
    summary = score_tables(card_model, tmp_path / "night.parquet", tmp_path / "out")
    assert summary.codes == {"duplicate_id": 1}
    wanted = load_detector(card_model).entities_.copy()
    wanted.process(night)
    assert EntityHistories.load(tmp_path / "out/state/night.npz").digest() == wanted.digest()


def test_a_night_without_rows_changes_nothing(card_model, nights, tmp_path):
    payments(12).iloc[:0].to_parquet(nights / "empty.parquet")
    assert score_tables(card_model, nights, tmp_path / "out").rows_out == 180
    assert score_tables(card_model, nights, tmp_path / "out").skipped == 4
    assert not (tmp_path / "out/state/empty.npz").exists()


def test_late_rows_see_only_their_past_and_are_told(card_model, nights, tmp_path, caplog):
    late = payments(12).iloc[[0]].assign(id="late")
    night = pd.concat([late, payments(13)], ignore_index=True)
    night.to_parquet(nights / "night13.parquet")
    score_tables(card_model, nights, tmp_path / "out")
    assert "1 row is older than the histories" in caplog.text
    found = scores(tmp_path / "out")
    assert found["late"] == pytest.approx(found["p12-0"])


def test_csv_night_gives_the_scores_of_parquet(card_model, nights, tmp_path):
    score_tables(card_model, nights / "night12.parquet", tmp_path / "out")
    payments(12).to_csv(tmp_path / "night12.csv", index=False)
    score_tables(card_model, tmp_path / "night12.csv", tmp_path / "csv")
    pd.testing.assert_series_equal(scores(tmp_path / "out"), scores(tmp_path / "csv"))


def test_a_state_of_other_columns_or_none_is_refused(
    card_model, table_model, nights, days, tmp_path
):
    state = tmp_path / "state.npz"
    night = nights / "night12.parquet"
    other = EntityHistories(load_detector(card_model).entities_.columns)
    other.columns = type(other.columns)(("shop",), "at", "euro")
    other.save(state)
    with pytest.raises(ModelRefusedError, match=r"histories of shop, at, euro"):
        score_tables(card_model, night, tmp_path / "out", state=state)
    state.write_bytes(b"PK no state")
    with pytest.raises(ModelRefusedError, match="no state of entities"):
        score_tables(card_model, night, tmp_path / "out", state=state)
    with pytest.raises(DataError, match="holds no state"):
        score_tables(card_model, night, tmp_path / "out", state=tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="no use for the state"):
        score_tables(table_model, days, tmp_path / "out", state=state)


def test_a_night_without_the_entity_is_refused_before_anything_is_written(card_model, tmp_path):
    payments(12).drop(columns="card").to_parquet(tmp_path / "night.parquet")
    with pytest.raises(DataError, match="'card'"):
        score_tables(card_model, tmp_path / "night.parquet", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_ledger_of_an_earlier_version_goes_on_being_used(table_model, days, tmp_path):
    out = tmp_path / "out"
    score_tables(table_model, days, out)
    with sqlite3.connect(out / "ledger.sqlite") as database:
        database.execute("ALTER TABLE partitions DROP COLUMN history")
    database.close()
    assert score_tables(table_model, days, out).skipped == 3
    with Ledger(out / "ledger.sqlite") as ledger:
        assert {json.dumps(row.history) for row in ledger.rows().values()} == {"{}"}


def test_reasons_compare_with_the_card_s_own_usual(card_model):
    detector = load_detector(card_model)
    night = payments(12).iloc[[0]].assign(card="card 0", euro=640.0)
    texts = detector.reasons(detector.entities_.copy().extend(night), top=6)[0]
    own = re.compile(r"euro 640, (usual for this card is .*|.* the usual 9\.\d+ of this card)")
    assert any(own.fullmatch(text) for text in texts), texts


def test_a_model_saved_again_has_the_same_past(card_model, tmp_path):
    detector = load_detector(card_model)
    again = load_detector(detector.save(tmp_path / "again"))
    assert again.entities_.digest() == detector.entities_.digest()
    calibration = "calibration.safetensors"
    assert (tmp_path / "again" / calibration).read_bytes() == (
        card_model / calibration
    ).read_bytes()


def test_another_model_takes_the_whole_folder_over_from_where_it_began(
    card_model, nights, tmp_path
):
    """Its own training reaches beyond the first night, which it can still score again."""
    out = tmp_path / "out"
    score_tables(card_model, nights, out)
    detector = load_detector(card_model)
    detector.entities_.process(pd.read_parquet(nights / "night12.parquet"))
    later = detector.save(tmp_path / "later")
    assert score_tables(later, nights, out).skipped == 0
    score_tables(card_model, nights, tmp_path / "straight")
    pd.testing.assert_series_equal(scores(out), scores(tmp_path / "straight"))
