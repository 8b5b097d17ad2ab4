"""Whether held-out normals keep the rates that they state: each judged by others of them.

That p-values hold on the normals they are counted on says nothing. So a tenth of them is judged by
the other nine, in turn: whole groups where there are some, else stretches in the order of the
input, so that groups and days that are unlike the others show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from vae_anomaly.arrays import AnyArray, Bools, Floats, Ints
from vae_anomaly.detectors.folds import assign_folds
from vae_anomaly.metrics import Interval, grouped_interval, is_flagged, proportion_interval
from vae_anomaly.reports.facts.training import STATED_RATES, GroupRate, HeldOutFacts, ReachedRate
from vae_anomaly.scoring.conformal import ConformalCalibration

N_BLOCKS: Final = 10
GROUP_RATE: Final = 0.05
MOST_GROUPS: Final = 8
LEAST_OF_GROUP: Final = 5  # items from which a group's share is told


def held_out_facts(
    raw_scores: Floats,
    groups: AnyArray | None = None,
    places: Ints | None = None,
    names: Sequence[str] | None = None,
) -> HeldOutFacts:
    """Measure the share of held-out normals beyond the bounds that the others state.

    Parameters
    ----------
    raw_scores : ndarray of shape (n,)
        Of held-out normals; higher = more anomalous.
    groups : ndarray of shape (n,), optional
    places : ndarray of shape (n,), optional
        Where each stands in the input; without, tenths are drawn at random.
    names : sequence of n str, optional
        What the group of each is called; numbers without.

    Returns
    -------
    facts : HeldOutFacts
        Without rates where there are fewer than 2 normals or groups.
    """
    n_groups = 0 if groups is None else len(np.unique(groups))
    blocks, how = _blocks(len(raw_scores), groups, places)
    if len(np.unique(blocks)) < 2:
        return HeldOutFacts("too few held-out normals to judge some by others", (), GROUP_RATE)
    scores = np.empty(len(raw_scores))
    for block in np.unique(blocks):
        inside = blocks == block
        scores[inside] = ConformalCalibration.fit(raw_scores[~inside]).anomaly_score(
            raw_scores[inside]
        )
    rates = tuple(_reached(scores, rate, groups) for rate in STATED_RATES)
    known = _groups(scores, groups, names) if groups is not None else ()
    return HeldOutFacts(how, rates, GROUP_RATE, known, n_groups)


def _blocks(n: int, groups: AnyArray | None, places: Ints | None) -> tuple[Ints, str]:
    if groups is not None and len(np.unique(groups)) > 1:
        how = "a tenth of the groups at a time, judged by the items of all other groups"
        return assign_folds(groups, N_BLOCKS, 0), how
    order = np.random.default_rng(0).permutation(n) if places is None else np.argsort(places)
    blocks = np.empty(n, np.int64)
    blocks[order] = np.arange(n) * min(N_BLOCKS, n) // max(n, 1)
    drawn = "drawn at random" if places is None else "in the order of the input"
    return blocks, f"a tenth of them at a time, {drawn}, judged by the other nine"


def _reached(scores: Floats, rate: float, groups: AnyArray | None) -> ReachedRate:
    beyond = is_flagged(scores, -np.log10(rate))
    return ReachedRate(rate, len(scores), int(beyond.sum()), _share(beyond, groups))


def _share(beyond: Bools, groups: AnyArray | None) -> Interval:
    if groups is None:
        return proportion_interval(float(beyond.sum()), float(len(beyond)))
    return grouped_interval(beyond, np.ones(len(beyond)), groups)


def _groups(scores: Floats, groups: AnyArray, names: Sequence[str] | None) -> tuple[GroupRate, ...]:
    """Return the groups with most items beyond, the surest first."""
    found = []
    for number, group in enumerate(np.unique(groups), start=1):
        inside = np.flatnonzero(groups == group)
        if len(inside) < LEAST_OF_GROUP:
            continue
        n, beyond = len(inside), int(is_flagged(scores[inside], -np.log10(GROUP_RATE)).sum())
        name = f"group {number}" if names is None else names[inside[0]]
        found.append(GroupRate(name, n, beyond, proportion_interval(float(beyond), float(n))))
    found.sort(key=lambda one: (-one.reached.low, -one.reached.estimate, one.name))
    return tuple(found[:MOST_GROUPS])
