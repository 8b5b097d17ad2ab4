"""Two runs are matched item by item: who changed sides, how ranks differ, what only one has."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from jobs.report.written_runs import kept_image, scored, write_run
from scipy import stats
from tracking.real_models import transactions

from vae_anomaly.errors import DataError, ModelRefusedError
from vae_anomaly.jobs.report.compare import MAX_POINTS, compare_models, compare_runs
from vae_anomaly.reports.facts.compare import MAX_MOVED


@pytest.fixture
def two(tmp_path, rng):
    """Runs of 400 rows in two parts whose scores agree mostly, in another order."""
    a = rng.exponential(0.6, 400)
    b = a + rng.normal(0.0, 0.3, 400)
    left, right = scored(a), scored(b).sample(frac=1.0, random_state=1)
    one = write_run(tmp_path / "a", {"x": left[:250], "y": left[250:]})
    other = write_run(tmp_path / "b", {"z": right}, threshold=1.5, version="cards/2")
    return one, other, a, b


def test_items_are_counted_by_who_flagged_them(two):
    facts, flags = compare_runs(*two[:2]), (two[2] > 2.0, two[3] > 1.5)
    assert facts.sides.both == np.sum(flags[0] & flags[1])
    assert facts.sides.only_a == np.sum(flags[0] & ~flags[1])
    assert facts.sides.only_b == np.sum(~flags[0] & flags[1])
    assert sum(facts.sides) == facts.n_common == 400
    assert (facts.a.thresholds, facts.b.thresholds) == ((2.0,), (1.5,))
    assert (facts.a.models, facts.b.models) == (("cards/1",), ("cards/2",))


def test_an_item_that_changed_sides_has_scores_places_and_reasons_of_both(two):
    _, _, a, b = two
    facts = compare_runs(*two[:2])
    changed = [i for i in range(400) if b[i] > 1.5 and not a[i] > 2.0]
    assert [item.id for item in facts.moved_b] == [
        f"t{i}" for i in sorted(changed, key=lambda i: -b[i])
    ]
    first, i = facts.moved_b[0], int(facts.moved_b[0].id[1:])
    assert (first.score_a, first.score_b) == (a[i], b[i])
    assert first.place_a == 1 + np.sum(a > a[i])
    assert first.place_b == 1 + np.sum(b > b[i])
    assert first.reasons_b == (f"why t{i}",)


def test_ranks_agree_as_the_closed_form_says(two):
    facts = compare_runs(*two[:2])
    assert facts.correlation.estimate == pytest.approx(stats.spearmanr(*two[2:]).statistic)
    assert facts.correlation.low < facts.correlation.estimate < facts.correlation.high
    ten = facts.overlaps[0]
    tops = [set(np.argsort(-scores)[:10]) for scores in two[2:]]
    assert (ten.k, ten.shared, ten.by_chance) == (10, len(tops[0] & tops[1]), 10 * 10 / 400)


def test_every_item_lies_in_one_cell_of_the_map(two):
    ranks = compare_runs(*two[:2]).ranks
    assert sum(count for *_, count in ranks.cells) == 400
    assert ranks.is_complete
    assert len(ranks.points) == 400
    assert (ranks.edges[0], ranks.edges[-1]) == (1.0, 401.0)


def test_a_run_compared_with_itself_agrees_in_everything(two):
    facts = compare_runs(two[0], two[0])
    assert facts.correlation.estimate == pytest.approx(1.0)
    assert facts.sides.only_a == facts.sides.only_b == 0
    assert {item.shared - item.k for item in facts.overlaps} == {0}
    assert facts.moved_a == facts.moved_b == ()


def test_what_only_one_side_has_is_counted_and_named(tmp_path):
    one = write_run(tmp_path / "a", {"x": scored([3.0, 1.0, 2.5, 0.1])})
    other = write_run(tmp_path / "b", {"x": scored([3.0, 1.0])})
    facts = compare_runs(one, other)
    assert facts.n_common == 2
    assert (facts.a.n_alone, facts.a.flagged_alone) == (2, 1)
    assert facts.a.examples_alone == ("t2", "t3")
    assert facts.b.n_alone == 0


def test_ids_that_repeat_in_every_part_are_matched_within_it(tmp_path):
    for name, second in (("a", [0.5, 3.0]), ("b", [0.5, 0.1])):
        write_run(tmp_path / name, {"mon": scored([3.0, 0.2]), "tue": scored(second)})
    facts = compare_runs(tmp_path / "a", tmp_path / "b")
    assert facts.n_common == 4
    assert [(item.part, item.id) for item in facts.moved_a] == [("tue", "t1")]
    assert "part and id" in facts.notes[0]


def test_runs_without_a_common_item_are_refused_with_their_first_ids(tmp_path):
    one = write_run(tmp_path / "a", {"x": scored([3.0])})
    other = write_run(tmp_path / "b", {"x": scored([3.0], prefix="other")})
    with pytest.raises(DataError, match=r"a has 1 item \('t0'.*b has 1 item \('other0'.*--input"):
        compare_runs(one, other)


def test_a_folder_that_is_no_finished_run_is_named(tmp_path, two):
    with pytest.raises(DataError, match=r"elsewhere has no manifest\.json"):
        compare_runs(two[0], tmp_path / "elsewhere")


def test_a_run_that_lacks_a_part_of_its_input_is_compared_only_where_asked(tmp_path, two):
    manifest = json.loads((two[1] / "manifest.json").read_text())
    manifest["failed"] = {"w": "w.csv is empty. Write it again."}
    (two[1] / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=r"b lacks 1 part.*w\.csv is empty.*--allow-failed"):
        compare_runs(*two[:2])
    assert compare_runs(*two[:2], allow_failed=True).n_common == 400


def test_folders_of_one_name_are_told_apart_by_their_paths(tmp_path):
    runs = [write_run(tmp_path / day / "flags", {"x": scored([3.0])}) for day in ("mon", "tue")]
    facts = compare_runs(*runs)
    assert (facts.a.name, facts.b.name) == ("mon/flags", "tue/flags")


def test_of_many_items_only_the_first_are_listed_and_drawn(tmp_path, rng):
    scores = rng.exponential(1.0, 5000)
    one = write_run(tmp_path / "a", {"x": scored(scores)}, threshold=1.0)
    other = write_run(tmp_path / "b", {"x": scored(scores)}, threshold=3.0)
    facts = compare_runs(one, other)
    assert facts.sides.only_a > MAX_MOVED == len(facts.moved_a)
    assert facts.moved_a[0].score_a <= 3.0
    assert len(facts.ranks.points) == MAX_POINTS
    assert not facts.ranks.is_complete
    assert sum(count for *_, count in facts.ranks.cells) == 5000


def test_two_models_are_compared_on_the_same_rows(table_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    transactions(80, seed=5).to_csv("day.csv", index=False)
    facts = compare_models(table_model, table_model, "day.csv")
    assert facts.n_common == 80
    assert facts.correlation.estimate == pytest.approx(1.0)
    assert facts.a.name == str(table_model)
    assert [path.name for path in tmp_path.iterdir()] == ["day.csv"]


def test_a_model_of_images_is_not_compared_with_one_of_tables(table_model, image_model):
    with pytest.raises(ModelRefusedError, match="two models of images, or two of tables"):
        compare_models(table_model, image_model, "day.csv")


def test_equal_scores_share_their_rank(tmp_path):
    runs = [
        write_run(tmp_path / name, {"x": scored(scores)})
        for name, scores in (("a", [0.0, 0.0, 1.0, 2.0]), ("b", [0.0, 0.5, 1.0, 2.0]))
    ]
    expected = pd.Series([0.0, 0.0, 1.0, 2.0]).corr(pd.Series([0.0, 0.5, 1.0, 2.0]), "spearman")
    assert compare_runs(*runs).correlation.estimate == pytest.approx(expected)


def test_images_that_changed_sides_are_shown_with_why_a_side_flagged_them(tmp_path):
    a = [kept_image("t0", 3.0, is_anomaly=True, thumbnail="AAAA"),
         kept_image("t1", 1.0, is_anomaly=False, thumbnail="BBBB")]  # fmt: skip
    b = [kept_image("t1", 4.0, is_anomaly=True, thumbnail="CCCC")]
    one, other = (
        write_run(tmp_path / side, {"x": scored(scores)}, images={item.id: item for item in kept})
        for side, scores, kept in (("a", [3.0, 1.0, 0.5], a), ("b", [1.0, 4.0, 0.5], b))
    )
    facts = compare_runs(one, other)
    (first,), (second,) = facts.moved_a, facts.moved_b
    assert facts.kind == "image"
    assert (first.thumbnail, first.reasons_a, first.reasons_b) == ("AAAA", ("why t0",), ())
    assert (second.thumbnail, second.reasons_a, second.reasons_b) == ("BBBB", (), ("why t1",))


@pytest.mark.parametrize("damaged", ["part-x.parquet", "review/x.jsonl"])
def test_a_file_that_was_changed_since_is_refused(tmp_path, damaged):
    kept = kept_image("t0", 3.0, is_anomaly=True, thumbnail="AAAA")
    one = write_run(tmp_path / "a", {"x": scored([3.0])}, images={"t0": kept})
    other = write_run(tmp_path / "b", {"x": scored([1.0])})
    with (one / damaged).open("ab") as file:
        file.write(b" ")
    with pytest.raises(DataError, match=r"is not the file that .* lists: its SHA-256 differs"):
        compare_runs(one, other)
