"""A model that was trained anew, a night in parts, a column that is gone: the learner goes on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vae_anomaly.errors import ConfigError
from vae_anomaly.verdicts.learner import VerdictLearner
from vae_anomaly.verdicts.ledger import ItemVerdict, NightItems

N = 300
BAD_TERMINAL = "t7"


def night(number: int, model: str = "a", n_features: int = 3) -> tuple[NightItems, np.ndarray]:
    """Return items of which the last feature and one terminal tell what the score does not."""
    rng = np.random.default_rng(number)
    terminals = [f"t{i}" for i in rng.integers(0, 40, N)]
    bad = (rng.random(N) < 0.04) | (np.array(terminals) == BAD_TERMINAL)
    features = rng.normal(size=(N, n_features))
    features[bad, -1] += 3.0
    names = ("score", *(f"{model}{i}" for i in range(n_features - 1)))
    ids = [f"{number}-{i}" for i in range(N)]
    return NightItems(number, ids, features, names, {"terminal": terminals}, model), bad


def live(learner: VerdictLearner, nights: range, model: str = "a", n_features: int = 3) -> None:
    for number in nights:
        items, bad = night(number, model, n_features)
        ranked = learner.rank(items, np.linspace(0, 1, N))
        chosen = learner.choose(ranked, capacity=30, audit=10).places
        learner.keep(ranked, chosen)
        learner.update(ItemVerdict(items.ids[i], bool(bad[i]), number + 1, number) for i in chosen)


@pytest.fixture(scope="module")
def learner() -> VerdictLearner:
    one = VerdictLearner(entities=("terminal",))
    live(one, range(1, 7))
    return one


def again(learner: VerdictLearner) -> VerdictLearner:
    copy = VerdictLearner(entities=("terminal",))
    return copy.fit(learner.ledger_.nights.values(), learner.ledger_.verdicts)


def test_the_head_of_a_model_says_nothing_of_the_evidence_of_another(learner):
    one, (items, _) = again(learner), night(7, "b", 5)
    ranked = one.rank(items, np.linspace(0, 1, N))
    np.testing.assert_allclose(ranked.judged.log_odds, items.features[:, 0] - ranked.offset)
    assert ranked.learned
    assert ranked.p_combined.tolist() == np.linspace(0, 1, N).tolist()  # no night to compare with


def test_states_of_entities_carry_over_to_another_model(learner):
    one, (items, _) = again(learner), night(7, "b", 5)
    lift = one.rank(items).judged.lifts["terminal"]
    bad = np.array(items.entities["terminal"]) == BAD_TERMINAL
    assert lift[bad].min() > 0.3 > np.median(lift)


def test_a_model_trained_anew_has_a_head_after_ten_confirmed_of_its_own(learner):
    one = again(learner)
    live(one, range(7, 11), "b", 5)
    items, bad = night(11, "b", 5)
    ranked = one.rank(items, np.linspace(0, 1, N))
    assert one.state_.head is not None
    assert bad[ranked.order[:10]].sum() >= 8
    assert ranked.p_combined.tolist() != np.linspace(0, 1, N).tolist()
    straight = again(one).rank(items, np.linspace(0, 1, N))
    np.testing.assert_array_equal(straight.p_combined, ranked.p_combined)


def test_the_first_model_back_again_finds_its_own_head(learner):
    one, (items, _) = again(learner), night(7)
    before = one.rank(items).judged.surprise
    one.rank(night(7, "b", 5)[0])
    np.testing.assert_array_equal(one.rank(items).judged.surprise, before)


def test_a_column_of_entities_that_is_gone_lifts_nothing(learner):
    one, (items, _) = again(learner), night(7)
    one.entities = ("terminal", "line")
    ranked = one.rank(replace(items, entities={"terminal": items.entities["terminal"]}))
    assert not ranked.judged.lifts["line"].any()
    assert ranked.judged.lifts["terminal"].max() > 0.3


def test_items_without_an_entity_have_no_state_in_common():
    one = VerdictLearner(entities=("terminal",))
    items, _ = night(1)
    items = replace(items, entities={"terminal": [""] * N})
    one.keep(one.rank(items), range(20))
    one.update(ItemVerdict(item, True, 2) for item in items.ids[:20])
    assert not one.rank(replace(items, night=2)).judged.lifts["terminal"].any()


def test_a_night_in_parts_is_ranked_as_in_one(learner):
    one, (items, _) = again(learner), night(7)
    offset = one.offset_at(7, "a")
    whole = one.rank(items, offset=offset)
    parts = [one.rank(items.take(rows), offset=offset) for rows in (range(100), range(100, N))]
    np.testing.assert_allclose(
        np.concatenate([p.judged.surprise for p in parts]), whole.judged.surprise, rtol=1e-12
    )
    np.testing.assert_array_equal(np.concatenate([p.p_combined for p in parts]), whole.p_combined)


def test_the_offset_of_a_model_without_a_night_is_that_of_its_normals(learner):
    scores = np.random.default_rng(0).normal(size=500)
    offset = learner.offset_at(7, "b", scores)
    assert np.mean(1 / (1 + np.exp(offset - scores))) == pytest.approx(learner.rates.bad / 2)
    with pytest.raises(ConfigError, match="normal_scores"):
        learner.offset_at(7, "b")


def test_verdicts_that_come_between_ranking_and_keeping_are_not_lost(learner):
    one, (items, _) = again(learner), night(7)
    before = one.rank(items).judged.surprise
    one.update(ItemVerdict(item, True, 7, 6) for item in one.ledger_.nights[6].items.ids)
    assert not np.array_equal(one.rank(items).judged.surprise, before)
    np.testing.assert_array_equal(
        one.rank(items).judged.surprise, again(one).rank(items).judged.surprise
    )
