"""A challenger passes where it is not worse, and only where the items show it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vae_anomaly.errors import ConfigError
from vae_anomaly.evaluation.challenge import ComparedModel, challenged_by, read_margins

THRESHOLD = 2.0


def judged(rng, n_normals: int, n_anomalies: int, *, strength: float = 4.0, level: float = 0.0):
    """Scores of a judge that sees all anomalies at ``strength``, and normals shifted by a level."""
    normal = -np.log10(rng.uniform(size=n_normals)) + level
    return np.concatenate([normal, strength + rng.normal(scale=0.3, size=n_anomalies)])


def challenge(rng, n_normals=2000, n_anomalies=200, **better):
    labels = np.arange(n_normals + n_anomalies) >= n_normals
    old = judged(rng, n_normals, n_anomalies)
    new = judged(rng, n_normals, n_anomalies, **better)
    judges = (
        ComparedModel("tiles/3", old, THRESHOLD, 0.01),
        ComparedModel("tiles/4", new, THRESHOLD, 0.01),
    )
    return challenged_by(*judges, labels, source="holdout/")


def test_an_equal_challenger_is_not_worse(rng):
    found = challenge(rng)
    assert found.passed
    assert found.missing() == ()
    assert (
        "tiles/4 is not worse than tiles/3 on 2,000 normals and 200 anomalies" in found.in_words()
    )


def test_more_false_alarms_are_worse(rng):
    found = challenge(rng, level=0.5)
    assert found.verdict == "worse"
    assert "(false alarms)" in found.in_words()
    assert found.only_challenger[0] > found.only_champion[0]


def test_missed_anomalies_are_worse(rng):
    assert "anomalies found" in challenge(rng, strength=1.9).in_words()


def test_few_items_show_nothing_and_it_is_said_how_many_would(rng):
    found = challenge(rng, n_normals=40, n_anomalies=12)
    assert found.verdict == "not shown to be not worse"
    assert not found.passed
    assert any("normals would tell, there are 40" in words for words in found.missing())


def test_without_anomalies_only_false_alarms_are_compared(rng):
    found = challenge(rng, n_anomalies=0)
    by_name = {one.name: one.verdict for one in found.figures}
    assert by_name["fpr"] == "not worse"
    assert not found.passed
    assert any("no labelled or judged anomalies" in words for words in found.missing())
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["verdict"] == found.verdict


def test_groups_widen_the_interval(rng):
    labels, groups = np.arange(660) >= 600, np.repeat(np.arange(66), 10)
    part = 0.8 * rng.normal(size=66)[groups]
    one = ComparedModel("a/1", part + judged(rng, 600, 60), THRESHOLD, 0.01)
    two = ComparedModel("a/2", -part + judged(rng, 600, 60), THRESHOLD, 0.01)
    alone, grouped = (challenged_by(one, two, labels, g) for g in (None, groups.astype(object)))
    assert grouped.figures[0].worst > alone.figures[0].worst


def test_margins_are_read_and_mistakes_named():
    assert read_margins(["auroc=0.01", "fpr = 0"]) == {"auroc": 0.01, "fpr": 0.0}
    for text, why in (("auroc", "between 0 and 1"), ("aurok=1", "auroc"), ("fpr=2", "0 and 1")):
        with pytest.raises(ConfigError, match=why):
            read_margins([text])
