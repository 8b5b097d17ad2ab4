"""Scoring with --learn: what is kept, what ranks, and that nothing else changes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from batch.launcher import KILLED
from tracking.real_models import transactions, write_surfaces

from vae_anomaly.batch import (
    plan_tables,
    read_manifest,
    read_results,
    score_images,
    score_tables,
)
from vae_anomaly.batch.learning.told import NightLearning
from vae_anomaly.batch.output.results import highest_flags
from vae_anomaly.batch.runs.found import read_state
from vae_anomaly.batch.runs.resume import command_of, resume
from vae_anomaly.batch.runs.verify import verify_run
from vae_anomaly.errors import ConfigError, ModelRefusedError, SchemaError
from vae_anomaly.evaluation import read_scores
from vae_anomaly.jobs.report.night.facts import night_facts
from vae_anomaly.persistence import score_scale
from vae_anomaly.storage.copies import on_disk
from vae_anomaly.thresholds import Threshold
from vae_anomaly.thresholds.basis import p_bound
from vae_anomaly.tracking import log_training, resolve
from vae_anomaly.tracking.learned import ResolvedStage
from vae_anomaly.verdicts.entities import EntityRates
from vae_anomaly.verdicts.kept import KeptItems, read_kept_items
from vae_anomaly.verdicts.learner import VerdictLearner
from vae_anomaly.verdicts.ledger import ItemVerdict
from vae_anomaly.verdicts.saved import write_stage
from vae_anomaly.verdicts.stage import KnownValues, SecondStage, entity_code

MODEL = "models:/cards@champion"
NIGHT = "2026-01-03"
Score = Callable[..., Any]


@pytest.fixture
def score(registered, days, tmp_path) -> Score:
    """Score the three days by the registered model, learning by the merchant."""

    def run(out: str = "out", source: Path = days, **given: Any) -> Path:
        asked = {"id_column": "id", "learn": ("merchant",), "night": NIGHT, **given}
        score_tables(MODEL, source, tmp_path / out, uri=registered.store, **asked)
        return tmp_path / out

    return run


@pytest.fixture
def in_force(monkeypatch, tmp_path) -> Callable[[SecondStage], None]:
    """Put a second stage in force for the registered model."""

    def put(stage: SecondStage) -> None:
        digest = write_stage(stage, tmp_path / "stage")
        found = ResolvedStage(tmp_path / "stage", digest, 1)
        monkeypatch.setattr(
            "vae_anomaly.batch.learning.asked.resolve_stage", lambda *_, **__: found
        )

    return put


def bad_merchant(name: str = "fuel") -> SecondStage:
    """Return what says that a merchant turned bad, learned from another model's scores."""
    night = np.array([pd.Timestamp("2026-01-02").toordinal()])
    known = KnownValues(
        0.9, 3.0, [entity_code("merchant", name)], night, np.array([0.9]), np.array([4]),
        np.array([3]),
    )  # fmt: skip
    return SecondStage(
        int(night[0]) + 1, "other", ("raw_score",), 5.0, EntityRates(), None,
        {"merchant": known}, None, 12, 7,
    )  # fmt: skip


def kept_in(out: Path) -> KeptItems:
    return read_kept_items(out / "learn.parquet")


def same(one: KeptItems, two: KeptItems) -> bool:
    """Tell whether two nights have kept the same, whenever their runs began."""
    flags = all(
        getattr(one, name).tolist() == getattr(two, name).tolist()
        for name in ("likely", "high", "drawn", "draw", "score", "surprise", "p_combined")
    )
    facts = replace(one.facts, scored_at="") == replace(two.facts, scored_at="")
    own, other = one.items, two.items
    return (
        flags
        and facts
        and (own.ids, own.names, own.entities) == (other.ids, other.names, other.entities)
        and np.array_equal(own.features, other.features, equal_nan=True)
    )


def files_of(out: Path, hashes: Callable[[Path], dict[str, str]]) -> dict[str, str]:
    """Hash what a run wrote but for the file that tells when its run began."""
    return {name: one for name, one in hashes(out).items() if name != "learn.parquet"}


def test_a_night_is_kept_and_nothing_that_was_there_changes(score, tmp_path):
    plain, out = score("plain", learn=None, night=None), score()
    own, more = (pq.read_table(one / "part-2026-01-01.parquet") for one in (plain, out))
    further = ["p_combined", "probability", "why", "flagged_by"]
    assert more.column_names == [*own.column_names, *further]
    assert more.select(own.column_names).equals(own)
    assert more["p_combined"].equals(own["p_value"])
    assert more["probability"].null_count == more["why"].null_count == 60
    assert not list(plain.rglob("learn*"))
    entry = read_manifest(out)["partitions"][0]
    assert f"learn/{entry['key']}.parquet" in entry["files"]
    assert verify_run(out).findings == ()

    kept = kept_in(out)
    assert kept.facts.night == pd.Timestamp(NIGHT).toordinal()
    assert (kept.facts.n_items, kept.facts.version) == (180, "cards/1")
    assert kept.facts.scorer == score_scale(
        resolve(MODEL, f"sqlite:///{tmp_path}/store/mlflow.db").path
    )
    assert len(kept) == 180
    assert set(kept.items.ids) == set(read_results(out)["id"])
    assert kept.items.names[0] == "raw_score"
    merchants = [entity_code("merchant", name) for name in ("grocery", "fuel", "books")]
    assert set(kept.items.entities["merchant"]) == set(merchants)
    stored = pq.read_table(out / "learn.parquet").column_names
    assert not {"merchant", "amount", "when"} & set(stored)
    assert len(kept.night().stands) == 180


def test_a_second_run_changes_no_byte_and_one_without_learning_leaves_nothing(score, hashes):
    out = score()
    before = hashes(out)
    assert hashes(score()) == before
    assert hashes(score(learn=None, night=None)) == hashes(score("plain", learn=None, night=None))


def test_a_run_that_goes_on_stays_with_its_night(score, monkeypatch):
    out = score()
    assert command_of(out).options["night"] == NIGHT
    before = (out / "learn.parquet").read_bytes()
    score(night=None)
    assert (out / "learn.parquet").read_bytes() == before, "nothing is new: it is that night"
    transactions(30, seed=9).to_parquet(out.parent / "days" / "2026-01-04.parquet")
    score(night=None)
    assert kept_in(out).facts.night == pd.Timestamp.today().toordinal()
    assert kept_in(out).facts.n_items == 30, "of a folder that grows, what is new"


def test_resume_asks_for_the_same(score, registered):
    out = score()
    (out / "manifest.json").unlink()
    (out / "part-2026-01-02.parquet").unlink()
    command = command_of(out)
    assert f"--learn merchant --date {NIGHT}" in command.words(out)
    summary = resume(command, out)
    assert summary.skipped == 2
    assert summary.learning is not None
    assert summary.learning.night == NIGHT
    assert len(kept_in(out)) == 180


@pytest.mark.parametrize("given", [{"workers": 2}, {"batch_rows": 7}], ids=["workers", "batches"])
def test_workers_and_batches_change_nothing(score, given, hashes):
    one, two = kept_in(score("one")), kept_in(score("two", **given))
    if "workers" in given:
        assert same(one, two)
    assert one.items.ids == two.items.ids
    assert np.allclose(one.items.features, two.items.features, atol=1e-4, equal_nan=True)
    assert one.items.entities == two.items.entities


def test_files_of_a_night_that_are_split_otherwise_keep_the_same(score, days, tmp_path):
    whole = tmp_path / "whole"
    whole.mkdir()
    frames = [pd.read_parquet(path) for path in sorted(days.iterdir())]
    pd.concat(frames).to_parquet(whole / "night.parquet")
    one, two = kept_in(score("one")), kept_in(score("two", whole))
    assert (one.items.ids, one.items.entities) == (two.items.ids, two.items.entities)
    assert one.drawn.tolist() == two.drawn.tolist()
    assert one.facts.n_items == two.facts.n_items == 180


STEPS = ("renamed:3", "ledger-written:2", "temp-written:16")
"""The third file of the first day is what it has kept; the last of all is that of the night."""


def test_killed_at_any_step_and_run_again_it_is_a_straight_run(
    score, days, registered, tmp_path, hashes, launch
):
    straight = score("straight")
    asked = {"learn": ["merchant"], "night_of": NIGHT, "uri": registered.store}
    for step in STEPS:
        out = tmp_path / step.replace(":", "-")
        assert launch(MODEL, days, out, step, cache=tmp_path / "cache", **asked) == KILLED
        assert read_state(out).state != "damaged"
        score(out.name)
        assert files_of(out, hashes) == files_of(straight, hashes)
        assert same(kept_in(out), kept_in(straight))
        assert not list(out.rglob(".*.partial"))


def test_what_was_learned_ranks_and_says_why(score, in_force):
    in_force(bad_merchant())
    out = score()
    results = read_results(out)
    frames = pd.concat(pd.read_parquet(path) for path in (out.parent / "days").iterdir())
    of_fuel = results["id"].isin(frames["id"][frames["merchant"] == "fuel"])
    assert results["probability"].isna().all(), "no evidence was learned from: there is an order"
    assert (results["p_combined"] == results["p_value"]).all(), "of another model: not measured"
    why = "merchant fuel: 3 of 4 reviewed were confirmed, the last look on 2026-01-02"
    assert set(results["why"][of_fuel]) == {why}
    assert results["why"][~of_fuel].isna().all()
    shown = night_facts(out).items
    assert any(why in item.reasons for item in shown), "the page says it too"
    kept = kept_in(out)
    assert kept.facts.stage
    shares = pd.Series(kept.probability, kept.items.ids)[results["id"]].to_numpy()
    assert shares[of_fuel].min() > 0.5 > np.median(shares[~of_fuel])


def test_a_learner_taught_by_kept_nights_ranks_the_next_one(score, in_force, days, tmp_path):
    first = kept_in(score("first"))
    frames = pd.concat(pd.read_parquet(path) for path in sorted(days.iterdir()))
    is_bad = dict(zip(frames["id"], frames["amount"] > 60, strict=True))
    arrived = first.facts.night + 1
    said = [ItemVerdict(name, bool(is_bad[name]), arrived) for name in first.items.ids[::2]]
    learner = VerdictLearner(entities=("merchant",)).fit([first.night(is_bad)], [])
    learner.update(said)
    stage = learner.stage(arrived, first.facts.scorer)
    assert stage.head is not None
    in_force(stage)
    (tmp_path / "next").mkdir()
    transactions(300, seed=5).to_parquet(tmp_path / "next" / "night.parquet")
    out = score("second", tmp_path / "next", night="2026-01-04")
    results, amounts = read_results(out), transactions(300, seed=5)["amount"]
    by_score, by_learned = results["score"], results["probability"]
    found = [
        np.mean(amounts[list(rank.nlargest(20).index)] > 60) for rank in (by_score, by_learned)
    ]
    assert found[1] > found[0]
    assert results["p_combined"].between(0.0, 1.0).all()
    assert "confirmed anomalies look like this in amount" in " ".join(results["why"].dropna())


BOUNDS = [Threshold(value=p_bound(0.1), basis="p_combined"),
          Threshold(value=-math.log(0.7), basis="probability")]  # fmt: skip


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda one: one.basis)
def test_a_threshold_on_what_was_learned_flags_instead_of_the_models(
    score, in_force, days, tmp_path, bound
):
    first = kept_in(score("first"))
    plain = read_results(tmp_path / "first")
    said = [ItemVerdict(name, True, first.facts.night + 1) for name in first.items.ids[:12]]
    learner = VerdictLearner(entities=("merchant",)).fit([first.night(first.items.ids[:12])], [])
    learner.update(said)
    stage = learner.stage(first.facts.night + 1, first.facts.scorer)
    in_force(replace(stage, threshold=bound.to_dict()))
    out = score("second", night="2026-01-04")
    results = read_results(out)
    by = {"p_combined": results["p_combined"] <= 0.1, "probability": results["probability"] > 0.3}
    assert results["is_anomaly"].equals(by[bound.basis].rename("is_anomaly"))
    assert results["is_anomaly"].sum() != plain["is_anomaly"].sum()
    assert results["reason_1"].notna().equals(results["is_anomaly"].rename("reason_1"))
    assert set(results["flagged_by"]) == {bound.basis}
    assert set(results["threshold"]) == {bound.value}
    assert results["score"].equals(plain["score"])
    assert sum(entry["rows_flagged"] for entry in read_manifest(out)["partitions"]) == int(
        results["is_anomaly"].sum()
    )
    assert verify_run(out).findings == ()
    said = " ".join(notice.text for notice in night_facts(out).notices)
    assert f"Flagged by what verdicts have taught: {bound.bound_text}" in said
    items, _ = read_scores(out)
    assert (items.on(bound.basis).scores > bound.value).tolist() == items.flagged.tolist()
    top = [flag.probability for flag in highest_flags(out, plan_tables(sorted(days.iterdir())))]
    assert top == sorted(results.loc[results["is_anomaly"], "probability"], reverse=True)[:5]


def test_a_threshold_of_another_models_scores_does_not_flag_and_it_is_said(score, in_force, days):
    in_force(replace(bad_merchant(), threshold=BOUNDS[1].to_dict()))
    plain = read_results(score("plain", learn=None, night=None))
    out = score()
    assert read_results(out)["is_anomaly"].equals(plain["is_anomaly"])
    assert set(read_results(out)["flagged_by"]) == {"score"}
    summary = resume(command_of(out), out)
    assert summary.learning.flagged_by is None
    assert "is of the other model's scores" in " ".join(summary.learning.told())


def test_a_stage_that_was_replaced_meanwhile_is_refused(score, in_force, tmp_path, monkeypatch):
    in_force(bad_merchant())
    monkeypatch.setattr("vae_anomaly.batch.learning.judging.stage_digest", lambda _: "0" * 64)
    with pytest.raises(ModelRefusedError, match="was replaced while it was used"):
        score()


def test_missing_cells_are_no_entity_and_codes_are_of_what_is_written(score, tmp_path, in_force):
    in_force(bad_merchant("0017"))
    frame = transactions(40, seed=3).assign(till=["0017", "17", None, " "] * 10)
    (tmp_path / "csv").mkdir()
    frame.to_csv(tmp_path / "csv" / "night.csv", index=False)
    kept = kept_in(score("csv-out", tmp_path / "csv", learn=("till",)))
    codes = dict(zip(kept.items.ids, kept.items.entities["till"], strict=True))
    given = [codes[name] for name in frame["id"][:4]]
    assert given == [entity_code("till", "0017"), entity_code("till", "17"), "", ""]


def test_what_cannot_be_learned_by_is_refused_before_anything_is_written(
    score, table_model, days, tmp_path
):
    with pytest.raises(SchemaError, match=r"no column 'terminal' to learn by.*Leave out"):
        score(learn=("merchant", "terminal"))
    with pytest.raises(ConfigError, match=r"is a folder.*--name"):
        score_tables(table_model, days, tmp_path / "out", learn=("merchant",))
    for learn in (("",), ("merchant", "merchant")):
        with pytest.raises(ConfigError):
            score(learn=learn)
    with pytest.raises(ConfigError, match="YYYY-MM-DD"):
        score(night="yesterday")
    assert not (tmp_path / "out").exists()


def test_without_an_entity_the_evidence_is_kept(score):
    kept = kept_in(score(learn=()))
    assert kept.items.entities == {}
    assert len(kept) == 180


def test_in_an_object_store_lies_what_lies_here(score, registered, days, hashes):
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    out = "memory://bucket/flags"
    asked = {"id_column": "id", "learn": ("merchant",), "night": NIGHT}
    summary = score_tables(MODEL, days, out, uri=registered.store, **asked)
    there = {name.removeprefix("/bucket/flags/") for name in fs.find("bucket/flags")}
    assert {f"learn/2026-01-0{day}.parquet" for day in (1, 2, 3)} | {"learn.parquet"} <= there
    assert same(read_kept_items(on_disk(f"{out}/learn.parquet")), kept_in(score()))
    assert summary.learning == NightLearning(NIGHT)
    fs.store.clear()


def test_images_are_learned_from_by_folder_or_column(image_model, store, tmp_path, in_force):
    from vae_anomaly import load_detector

    log_training(load_detector(image_model), name="tiles", uri=store, alias="champion")
    for camera in ("left", "right"):
        write_surfaces(tmp_path / "night" / camera, 3, holes=(1,))
    out = tmp_path / "out"
    score_images("models:/tiles/1", tmp_path / "night", out, uri=store, learn=("folder",))
    kept = kept_in(out)
    folders = {entity_code("folder", name) for name in ("left", "right")}
    assert (set(kept.items.entities["folder"]), len(kept)) == (folders, 6)
    assert read_results(out)["p_combined"].equals(read_results(out)["p_value"])

    manifest = tmp_path / "night" / "list.csv"
    manifest.write_text("path,camera\nleft/000.png,A\nleft/001.png,\nright/000.png,B\n")
    score_images("models:/tiles/1", manifest, tmp_path / "two", uri=store, learn=("camera",))
    codes = kept_in(tmp_path / "two").items.entities["camera"]
    assert sorted(codes) == sorted(["", entity_code("camera", "A"), entity_code("camera", "B")])
    words = re.escape("No image tells its 'kamera' (did you mean 'camera'?)")
    with pytest.raises(SchemaError, match=words):
        score_images("models:/tiles/1", manifest, tmp_path / "no", uri=store, learn=("kamera",))

    learner = VerdictLearner().fit([kept.night(kept.items.ids)], [])
    night = kept.facts.night + 1
    learner.update([ItemVerdict(kept.items.ids[0], True, night)])
    bound = Threshold(value=1.0, basis="p_combined")
    in_force(replace(learner.stage(night, kept.facts.scorer), threshold=bound.to_dict()))
    score_images("models:/tiles/1", tmp_path / "night", out, uri=store, learn=("folder",))
    results = read_results(out)
    assert results["is_anomaly"].tolist() == (results["p_combined"] <= 0.1).tolist()
    assert results["heatmap"].notna().tolist() == results["is_anomaly"].tolist()
    assert set(results["flagged_by"]) == {"p_combined"}
    assert verify_run(out).findings == ()
