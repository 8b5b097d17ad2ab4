"""Each verdict counts once, the last one on an item, and from when it came."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest
from jobs.learning.made_nights import FIRST, imported, judged, morning, night

from vae_anomaly.jobs.learning.heard import heard
from vae_anomaly.jobs.learning.learn import learned_stage
from vae_anomaly.verdicts.saved import write_stage


@pytest.fixture(scope="module")
def nights():
    return [night(FIRST + k) for k in range(3)]


def said(item: str, confirmed: bool, when, audit: bool = False) -> pd.DataFrame:
    return pd.DataFrame(
        {"item": [item], "is_anomaly": [confirmed], "audit": [audit], "who": ["ada"],
         "when": [pd.Timestamp(when)]}
    )  # fmt: skip


def test_a_verdict_is_used_from_the_first_night_that_began_after_it_came(nights):
    item, other = nights[0].items.ids[0], nights[0].items.ids[1]
    prompt = imported(said(item, True, morning(FIRST)), morning(FIRST))
    late = imported(said(other, True, morning(FIRST)), morning(FIRST + 2))
    found = heard(nights, [prompt, late])
    assert [(v.item, v.night, v.arrived) for v in found.verdicts] == [
        (item, FIRST, FIRST + 1), (other, FIRST, FIRST + 3),
    ]  # fmt: skip
    assert found.late == 1


def test_an_import_that_is_made_twice_counts_once(nights):
    frame = judged(nights[0])
    once = [imported(frame, morning(FIRST), "a")]
    twice = [*once, imported(frame, morning(FIRST + 1), "b")]
    assert heard(nights, once).verdicts == heard(nights, twice).verdicts


def test_of_contradicting_verdicts_the_last_counts_whenever_it_was_imported(nights):
    item = nights[0].items.ids[0]
    first = imported(said(item, True, morning(FIRST), audit=True), morning(FIRST))
    then = imported(said(item, False, morning(FIRST + 1)), morning(FIRST + 1))
    older = imported(said(item, True, morning(FIRST) - timedelta(hours=1)), morning(FIRST + 2))
    found = heard(nights, [first, then, older])
    assert [v.confirmed for v in found.verdicts] == [True, False]
    assert [(v.confirmed, v.audit) for v in found.judged] == [(False, True)]


def test_an_id_that_several_nights_have_is_of_the_last_before_the_verdict(nights):
    names = [kept.items.ids[0] for kept in nights]
    for kept in nights[1:]:
        kept.items.ids[0] = names[0]
    try:
        found = heard(
            nights, [imported(said(names[0], True, morning(FIRST + 1)), morning(FIRST + 1))]
        )
    finally:
        for kept, name in zip(nights, names, strict=True):
            kept.items.ids[0] = name
    assert [v.night for v in found.verdicts] == [FIRST + 1]
    assert found.repeated == [names[0]]


def test_items_that_no_night_has_kept_are_named_and_teach_nothing(nights):
    frames = [said("nobody", True, morning(FIRST)), said("nobody", False, morning(FIRST + 1))]
    found = heard(nights, [imported(frame, morning(FIRST)) for frame in frames])
    assert (found.unknown, found.judged) == (["nobody"], [])


def test_withdrawn_verdicts_leave_no_trace(nights, tmp_path):
    good = [imported(judged(kept), morning(kept.facts.night), "good") for kept in nights]
    bad = judged(nights[1]).assign(is_anomaly=lambda frame: ~frame["is_anomaly"])
    with_bad = [*good[:2], imported(bad, morning(FIRST + 1) + timedelta(hours=1), "bad"), good[2]]
    stages = [
        learned_stage(nights, heard(nights, imports), ["terminal"], remember=False)
        for imports in (good, with_bad, [one for one in with_bad if one[0].run_id != "bad"])
    ]
    digests = [write_stage(stage, tmp_path / str(i)) for i, stage in enumerate(stages)]
    assert digests[0] == digests[2] != digests[1]
