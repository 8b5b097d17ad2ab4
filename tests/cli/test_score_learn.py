"""Scoring with --learn from the command line: what is told, logged and refused."""

from __future__ import annotations

from datetime import date

import pyarrow.parquet as pq

from vae_anomaly.batch import read_results
from vae_anomaly.tracking.reviews.kept import kept_nights
from vae_anomaly.tracking.store import session
from vae_anomaly.verdicts.kept import read_kept_items

MODEL = "models:/cards@champion"


def test_a_night_is_logged_with_what_it_has_kept_also_without_a_page(
    call, rows, registered, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    store = ("--tracking-uri", registered.store)
    asked = ("score", "table", MODEL, rows, "--out", "flags", *store, "--date", "2026-01-05")
    code, out, err = call(*asked, "--learn", "merchant", "--no-report")
    assert code == 0, err
    assert "Nothing is learned yet: the night 2026-01-05 is ranked by the score alone." in out
    assert "vae-anomaly feedback sample flags --out decisions.csv" in out
    assert not (tmp_path / "flags" / "report.html").exists()
    (night,) = kept_nights("cards", registered.store)
    assert night.night == "2026-01-05"
    kept = read_kept_items(night.path)
    assert kept.facts.night == date(2026, 1, 5).toordinal()
    assert len(kept) == len(read_results("flags")) == 300

    code, out, err = call(*asked, "--learn", "merchant", "--dry-run")
    assert "would score 0 of 1 part" in out, err
    assert call(*asked, "--learn", "merchant")[0] == 0
    assert len(kept_nights("cards", registered.store)) == 1, "the same night is one run"
    with session(registered.store) as client:
        scores = client.get_experiment_by_name("vae-anomaly-scores")
        (run,) = client.search_runs([scores.experiment_id])
        assert {file.path for file in client.list_artifacts(run.info.run_id)} == {
            "learn.parquet", "report.html", "summary.json",
        }  # fmt: skip


def test_columns_that_are_not_there_and_models_of_no_registry_are_refused(
    call, rows, table_model, registered, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    store = ("--tracking-uri", registered.store)
    code, _, err = call("score", "table", MODEL, rows, "--out", "out", "--learn", "till", *store)
    assert code == 3
    assert "no column 'till' to learn by" in err
    code, _, err = call("score", "table", table_model, rows, "--out", "out", "--learn", "merchant")
    assert code == 2
    assert "--name NAME" in err
    assert not (tmp_path / "out").exists()


def test_other_commands_read_results_with_further_columns(
    call, rows, registered, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    store = ("--tracking-uri", registered.store)
    learned = ("--learn-evidence", "--no-report", *store)
    assert call("score", "table", MODEL, rows, "--out", "flags", *learned)[0] == 0
    assert "why" in pq.read_schema(next((tmp_path / "flags").glob("part-*.parquet"))).names
    for command in (
        ("threshold", "tune", MODEL, "--scores", "flags", "--target-fpr", "0.1", *store),
        ("feedback", "sample", MODEL, "--scores", "flags", "--n", "5", *store),
        ("report", "flags"),
        ("runs", "verify", "flags"),
        ("monitor", "flags"),
    ):
        code, out, err = call(*command)
        assert code == 0, (command, out, err)
