"""A learner of verdicts: it finds what reviewers found before, and claims nothing without them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vae_anomaly.arrays import Bools
from vae_anomaly.errors import DataError
from vae_anomaly.verdicts.learner import RankedNight, VerdictLearner
from vae_anomaly.verdicts.ledger import ItemVerdict, NightItems

N = 400
BAD_TERMINAL = "t7"


def night(number: int, *, permuted: bool = False) -> tuple[NightItems, Bools]:
    """Return items and what they are: a fault of the second feature, or of one terminal."""
    rng = np.random.default_rng(number)
    features = rng.normal(size=(N, 3))
    terminals = [f"t{i}" for i in rng.integers(0, 40, N)]
    by_feature, by_terminal = rng.random(N) < 0.03, rng.random(N) < 0.9
    features[by_feature, 1] += 3.0
    bad = by_feature | (np.array(terminals) == BAD_TERMINAL) & by_terminal
    features[bad, 0] += 0.3  # what the detector sees of it
    if permuted:
        terminals = rng.permutation(terminals).tolist()
    names = ("score", "length", "width")
    ids = [f"{number}-{i}" for i in range(N)]
    return NightItems(number, ids, features, names, {"terminal": terminals}), bad


def said(ranked: RankedNight, bad: Bools, places, delay: int = 1) -> list[ItemVerdict]:
    n = ranked.items.night
    return [ItemVerdict(ranked.items.ids[i], bool(bad[i]), n + delay, n) for i in places]


def live(learner: VerdictLearner, nights: range, **options) -> list[tuple[RankedNight, Bools]]:
    """Rank, review and learn, night by night."""
    lived = []
    for number in nights:
        items, bad = night(number, **options)
        ranked = learner.rank(items, np.linspace(0, 1, N))
        chosen = learner.choose(ranked, capacity=30, audit=10).places
        learner.keep(ranked, chosen)
        learner.update(said(ranked, bad, chosen))
        lived.append((ranked, bad))
    return lived


def found(ranked: RankedNight, bad: Bools, first: int = 25) -> int:
    return int(bad[ranked.order[:first]].sum())


@pytest.fixture(scope="module")
def lived() -> tuple[VerdictLearner, list[tuple[RankedNight, Bools]]]:
    learner = VerdictLearner(entities=("terminal",))
    return learner, live(learner, range(100, 112))


def test_without_verdicts_nothing_is_changed():
    learner, p = VerdictLearner(entities=("terminal",)), np.random.default_rng(0).random(N)
    for number in (1, 2):
        ranked = learner.rank(night(number)[0], p)
        assert not ranked.learned
        assert ranked.p_combined.tolist() == p.tolist()
        by_score = np.argsort(-ranked.items.features[:, 0], kind="stable")
        assert ranked.order.tolist() == by_score.tolist()
        learner.keep(ranked, range(10))


def test_it_finds_what_the_detector_does_not_see(lived):
    _, nights = lived
    by_score = [bad[np.argsort(-r.items.features[:, 0])[:25]].sum() for r, bad in nights[-3:]]
    assert sum(found(*one) for one in nights[-3:]) >= 2 * sum(by_score)


def test_the_combined_p_value_keeps_its_meaning_on_normals(lived):
    _, nights = lived
    p = np.concatenate([ranked.p_combined[~bad] for ranked, bad in nights[4:]])
    assert 0.03 < (p <= 0.05).mean() < 0.07


def test_terminals_that_tell_nothing_switch_themselves_off():
    learner = VerdictLearner(entities=("terminal",))
    live(learner, range(100, 116), permuted=True)
    assert learner.state_.entities["terminal"].weight < 0.5


def test_a_terminal_that_tells_a_lot_is_named(lived):
    learner, _ = lived
    assert learner.state_.entities["terminal"].weight > 0.99
    items, _ = night(150)
    lifts = learner.rank(items).judged.lifts["terminal"]
    assert lifts[np.array(items.entities["terminal"]) == BAD_TERMINAL].min() > 3 * np.median(lifts)


def test_verdicts_one_by_one_or_all_at_once_teach_the_same(lived):
    learner, _ = lived
    again = VerdictLearner(entities=("terminal",))
    again.fit(learner.ledger_.nights.values(), learner.ledger_.verdicts)
    items, _ = night(112)
    straight, resumed = again.rank(items), learner.rank(items)
    np.testing.assert_array_equal(straight.judged.surprise, resumed.judged.surprise)
    np.testing.assert_array_equal(straight.p_combined, resumed.p_combined)


def test_a_verdict_counts_once_and_the_last_one_on_an_item_counts():
    learner = VerdictLearner()
    items, bad = night(1)
    ranked = learner.rank(items)
    learner.keep(ranked, range(40))
    first = said(ranked, bad, range(40))
    assert learner.update(first) == 40
    assert learner.update(first) == 0
    other = replace(first[3], confirmed=not first[3].confirmed)
    assert learner.update([other]) == 1
    learner.rank(night(2)[0])
    assert learner.state_.verdicts[1, first[3].item].confirmed == other.confirmed


def test_a_withdrawn_import_leaves_no_trace(lived):
    learner, _ = lived
    items, _ = night(112)
    before = learner.rank(items).judged.surprise
    bad_batch = [
        ItemVerdict(item, True, 112, 111, source="wrong")
        for item in learner.ledger_.nights[111].items.ids
    ]
    copy = VerdictLearner(entities=("terminal",))
    copy.fit(learner.ledger_.nights.values(), [*learner.ledger_.verdicts, *bad_batch])
    assert not np.array_equal(copy.rank(items).judged.surprise, before)
    assert copy.withdraw("wrong") == len(bad_batch)
    np.testing.assert_array_equal(copy.rank(items).judged.surprise, before)


def test_an_item_that_was_never_kept_is_refused_by_name_and_nothing_is_stored():
    learner = VerdictLearner()
    items, bad = night(1)
    ranked = learner.rank(items)
    learner.keep(ranked, [0, 1])
    with pytest.raises(DataError, match="never kept to learn from: elsewhere"):
        learner.update([*said(ranked, bad, [0]), ItemVerdict("elsewhere", True, 2)])
    assert learner.ledger_.verdicts == []


def test_a_verdict_changes_nothing_before_it_came():
    learner, late = VerdictLearner(), VerdictLearner()
    for number in (1, 2):
        items, bad = night(number)
        for one in (learner, late):
            ranked = one.rank(items)
            one.keep(ranked, range(40))
        if number == 1:
            late.update(said(ranked, bad, range(40), delay=5))
    items, _ = night(3)
    np.testing.assert_array_equal(
        learner.rank(items).judged.surprise, late.rank(items).judged.surprise
    )
    assert not late.rank(items).learned
    assert late.rank(night(6)[0]).learned


def test_a_terminal_never_seen_and_a_missing_evidence_are_taken():
    learner = VerdictLearner(entities=("terminal",))
    live(learner, range(100, 104))
    items, _ = night(104)
    features = items.features.copy()
    features[:, 2] = np.nan
    strange = replace(items, features=features, entities={"terminal": ["new"] * N})
    assert np.isfinite(learner.rank(strange).judged.probability).all()
    assert np.isfinite(learner.rank(replace(items, entities={})).judged.probability).all()
