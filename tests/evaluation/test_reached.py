"""Stated rates against what held-out normals reached."""

from __future__ import annotations

import numpy as np

from vae_anomaly.evaluation.reached import held_out_facts


def test_normals_that_are_alike_reach_what_is_stated(rng):
    facts = held_out_facts(rng.exponential(size=4_000), places=np.arange(4_000))
    for rate in facts.rates:
        assert rate.reached.low <= rate.stated <= rate.reached.high
    assert "order of the input" in facts.how


def test_a_stretch_of_the_input_that_is_unlike_the_others_shows(rng):
    scores = rng.exponential(size=1_000)
    scores[:100] += 5.0
    in_order = held_out_facts(scores, places=np.arange(1_000))
    drawn = held_out_facts(scores)
    assert in_order.rates[0].reached.low > 0.05
    assert drawn.rates[0].reached.low < 0.05


def test_a_group_that_is_unlike_the_others_is_named(rng):
    groups = np.repeat(np.arange(20), 30)
    scores = rng.exponential(size=600) + 6.0 * (groups == 4)
    facts = held_out_facts(scores, groups, names=[f"camera {g}" for g in groups])
    assert facts.n_groups == 20
    assert facts.groups[0].name == "camera 4"
    assert facts.groups[0].reached.low > 0.5


def test_one_normal_says_nothing_and_is_no_error():
    assert held_out_facts(np.array([1.0])).rates == ()
