"""A second stage as plain numbers: it judges as its learner does, and is read back as it was."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from vae_anomaly.errors import DataError, ModelRefusedError
from vae_anomaly.verdicts.head import ScoreHead
from vae_anomaly.verdicts.kept import KeptFacts, KeptItems, read_kept_items, write_kept_items
from vae_anomaly.verdicts.learner import VerdictLearner
from vae_anomaly.verdicts.ledger import ItemVerdict, NightItems
from vae_anomaly.verdicts.saved import ARRAYS, STAGE, read_stage, stage_digest, write_stage
from vae_anomaly.verdicts.stage import SecondStage, entity_code

N, FIRST = 400, 739_000
TERMINALS = [f"t{i}" for i in range(40)]


def night(number: int) -> tuple[NightItems, list[str], np.ndarray]:
    """Return items, their terminals, and which are anomalies: those of the terminal t7."""
    rng = np.random.default_rng(number)
    features = rng.normal(size=(N, 3))
    terminals = rng.choice(TERMINALS, N).tolist()
    bad = (np.array(terminals) == "t7") | (rng.random(N) < 0.02)
    features[bad] += 1.0
    codes = {"terminal": [entity_code("terminal", name) for name in terminals]}
    ids = [f"{number}-{i}" for i in range(N)]
    return NightItems(number, ids, features, ("score", "length", "width"), codes), terminals, bad


@pytest.fixture(scope="module")
def learner() -> VerdictLearner:
    learner = VerdictLearner(entities=("terminal",))
    for number in range(FIRST, FIRST + 5):
        items, _, bad = night(number)
        ranked = learner.rank(items)
        places = learner.choose(ranked, capacity=40).places
        learner.keep(ranked, places)
        learner.update(ItemVerdict(items.ids[i], bool(bad[i]), number + 1) for i in places)
    return learner


@pytest.fixture(scope="module")
def stage(learner) -> SecondStage:
    return learner.stage(FIRST + 5)


def test_it_judges_as_its_learner_does(learner, stage):
    items, _, _ = night(FIRST + 5)
    ranked = learner.rank(items)
    judged = stage.judge(items.features, items.entities, items.night)
    assert stage.head is not None
    assert judged.surprise.tolist() == ranked.judged.surprise.tolist()
    p = stage.p_combined(judged, np.ones(N))
    assert p.tolist() == ranked.p_combined.tolist()


def test_an_item_like_one_of_an_earlier_night_is_compared_as_an_equal():
    learner, nights = VerdictLearner(entities=("terminal",)), []
    for number, level in ((FIRST, 0.0), (FIRST + 1, 2.0)):  # so their own offsets differ
        items, _, _ = night(number)
        items.features[:, 0] += level
        learner.keep(learner.rank(items), [0])
        nights.append(items)
    learner.update([ItemVerdict(nights[0].ids[0], True, FIRST + 2)])
    stage = learner.stage(FIRST + 2)
    assert stage.head is None
    again = [stage.judge(one.features, one.entities, FIRST + 2).surprise for one in nights]
    assert set(stage.reference.given) <= set(np.concatenate(again))


def test_it_says_which_terminal_was_confirmed(stage):
    items, terminals, _ = night(FIRST + 5)
    judged = stage.judge(items.features, items.entities, items.night)
    told = stage.why(items.features, judged, items.entities, lambda _, i: f"till {terminals[i]}")
    of_bad = [text for text, name in zip(told, terminals, strict=True) if name == "t7"]
    assert all("till t7: " in (text or "") for text in of_bad)
    assert "reviewed were confirmed, the last look on 2024-04-" in str(of_bad[0])
    assert sum(text is None for text in told) > N / 2


def test_a_column_that_has_switched_itself_off_is_no_reason(stage):
    items, terminals, _ = night(FIRST + 5)
    off = replace(stage.entities["terminal"], weight=0.3)
    stage = replace(stage, entities={"terminal": off})
    judged = stage.judge(items.features, items.entities, items.night)
    assert judged.lifted.max() > 0.2
    told = stage.why(items.features, judged, items.entities, lambda _, i: f"till {terminals[i]}")
    assert not any("till" in (text or "") for text in told)


def test_of_a_detector_trained_anew_the_entities_carry_over(stage):
    items, terminals, _ = night(FIRST + 5)
    other = stage.for_model("new", ("score", "depth"), np.random.default_rng(0).normal(size=500))
    judged = other.judge(items.features[:, :2], items.entities, items.night)
    assert other.head is None
    assert judged.probability[np.array(terminals) == "t7"].min() > 0.5
    assert np.median(judged.probability) < 0.02
    assert other.p_combined(judged, np.full(N, 0.3)).tolist() == [0.3] * N
    assert stage.for_model("", stage.names, items.features[:, 0]) is stage


def test_a_value_without_code_or_never_seen_adds_nothing(stage):
    judged = stage.judge(np.zeros((2, 3)), {"terminal": ["", "0123456789abcdef"]}, FIRST + 5)
    assert judged.lifted.tolist() == [0.0, 0.0]
    alone = stage.judge(np.zeros((2, 3)), {}, FIRST + 5)
    assert alone.surprise.tolist() == judged.surprise.tolist()


def test_it_is_read_back_as_it_was(stage, tmp_path):
    digest = write_stage(stage, tmp_path / "stage")
    again = read_stage(tmp_path / "stage")
    assert stage_digest(tmp_path / "stage") == digest == write_stage(again, tmp_path / "again")
    items, _, _ = night(FIRST + 6)
    one, two = (s.judge(items.features, items.entities, items.night) for s in (stage, again))
    assert one.surprise.tolist() == two.surprise.tolist()
    assert stage.p_combined(one, np.ones(N)).tolist() == again.p_combined(two, np.ones(N)).tolist()


@pytest.mark.parametrize("change", ["missing", "arrays", "facts", "pickle"])
def test_a_damaged_one_is_refused_with_the_remedy(stage, tmp_path, change):
    write_stage(stage, tmp_path)
    arrays, facts = tmp_path / ARRAYS, tmp_path / STAGE
    if change == "missing":
        facts.unlink()
    elif change == "arrays":
        arrays.write_bytes(arrays.read_bytes()[:-1] + b"\x00")
    elif change == "pickle":
        arrays.write_bytes(b"\x80\x04.")
    else:
        facts.write_text(json.dumps(json.loads(facts.read_text()) | {"night": "x"}))
    with pytest.raises(ModelRefusedError, match="feedback learn"):
        read_stage(tmp_path)


def kept_items() -> KeptItems:
    items, _, _ = night(FIRST)
    rng = np.random.default_rng(0)
    facts = KeptFacts(FIRST, 4_000, 3.5, "abc", "cards/3", scored_at="2024-05-01T06:00:00+00:00")
    flags = (np.arange(N) < few for few in (10, 20, 350))
    return KeptItems(facts, items, *flags, rng.random(N), *rng.random((4, N)))


def test_kept_items_are_read_back_and_become_a_night(tmp_path):
    kept = kept_items()
    write_kept_items(kept, tmp_path / "learn.parquet")
    again = read_kept_items(tmp_path / "learn.parquet")
    assert again.facts == kept.facts
    assert again.items.entities == kept.items.entities
    assert np.allclose(again.items.features, kept.items.features, rtol=1e-6)
    of_night = again.night({f"{FIRST}-399", f"{FIRST}-398"})
    assert of_night.stands.sum() == 300
    assert len(of_night.items) == 302
    assert len(of_night.reference) == 350


def test_no_kept_items_are_read_of_another_file(tmp_path):
    (tmp_path / "learn.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="Score the night again"):
        read_kept_items(tmp_path / "learn.parquet")


def test_a_head_that_leaves_features_out_is_read_back(tmp_path):
    """One tells nights apart, one is never known; all kept items were looked at."""
    learner = VerdictLearner()
    for number in range(FIRST, FIRST + 4):
        items, _, bad = night(number)
        items.features[:, 1], items.features[:, 2] = number, np.nan
        ranked = learner.rank(items)
        places = learner.choose(ranked, capacity=N).places
        learner.keep(ranked, places)
        learner.update(ItemVerdict(items.ids[i], bool(bad[i]), number + 1) for i in places)
    stage = learner.stage(FIRST + 4)
    assert stage.head is not None
    write_stage(stage, tmp_path / "stage")
    again = read_stage(tmp_path / "stage")
    items, _, _ = night(FIRST + 4)
    one, two = (s.judge(items.features, {}, items.night).surprise for s in (stage, again))
    assert one.tolist() == two.tolist()


def test_before_the_evidence_is_learned_from_there_is_an_order_but_no_probability(stage):
    items, _, _ = night(FIRST + 5)
    judged = stage.judge(items.features, items.entities, items.night)
    assert stage.probability(judged) is not None
    other = stage.for_model("new", stage.names, items.features[:, 0])
    assert other.probability(other.judge(items.features, items.entities, items.night)) is None


def test_a_detector_without_a_night_takes_what_carries_over(learner):
    stage = learner.stage(FIRST + 5, "new")
    assert stage.model == ""
    scores = 50.0 + np.random.default_rng(1).normal(size=500)
    judged = stage.for_model("new", stage.names, scores).judge(
        np.full((1, 3), 50.0), {"terminal": ["0123456789abcdef"]}, FIRST + 5
    )
    assert judged.probability[0] < 0.01


def test_evidence_is_called_what_people_call_it(stage):
    names = ("raw_score", "heat_top_0.5pct", "elbo_surprise")
    features = np.full((1, 3), 6.0)
    coefficients = np.r_[0.0, 1.0, 2.0, 1.5, np.zeros(6)]
    head = ScoreHead(np.zeros(3), np.zeros(3), np.ones(3), coefficients)
    taught = replace(stage, names=names, head=head)
    judged = taught.judge(features, {}, FIRST)
    (why,) = taught.why(features, judged, {}, lambda column, _: column)
    assert why is not None
    assert why.endswith("in the hottest 0.5 % of the image and the model's term elbo")
