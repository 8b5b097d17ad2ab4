"""Leave out the most anomalous training rows where some are anomalies that nobody has marked.

Anomalies among the exemplars vouch for their own kind. With an expected share c of them, the
most anomalous 2c of the training rows (at least 2 %, at most half) are taken out of memories and
statistics; the networks, which a few rows hardly move, are kept. Anomalous is what two judges say
together, by the sum of their ranks:

* *neighbours*: the mean distance to the 20 nearest other rows, and the distance to the 2cn-th
  nearest, which is a normal row even in a clump of cn anomalies; the higher rank of the two counts;
* *the VAE*: the negative ELBO, which sees a tight clump where distances do not.

Of the held-out scores that calibrate, those above the widest gap among the largest c are taken out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.stats import rankdata

from vae_anomaly.arrays import Bools, Floats, Floats32, Ints
from vae_anomaly.detectors.tabular.fit.folds import Fold

_NEIGHBOURS = 20
SMALLEST_SHARE = 0.02
LARGEST_SHARE = 0.5
NEAREST_IF_CONTAMINATED = 5  # exemplars in the gap, instead of 3: pairs vouch for each other less
_BLOCK = 1_024  # rows whose distances to all others are held at a time


def suspicion(
    views: list[tuple[Floats32, Floats]], contamination: float, groups: Ints | None
) -> Floats:
    """Return how anomalous each training row is beside the others, (N,): two ranks, in (0, 2].

    ``views`` has the rows as each view shows them, (N, D), and their negative ELBO there. Rows of
    one group do not vouch for each other.
    """
    n = len(views[0][0])
    most = max(n // 2, 1)
    k = min(_NEIGHBOURS, most)
    beyond_clump = min(max(k, int(np.ceil(2.0 * contamination * n))), most)
    distances = [neighbour_distances(rows, k, beyond_clump, groups) for rows, _ in views]
    near, far = (_joint_rank([pair[i] for pair in distances]) for i in range(2))
    vae = _joint_rank([negative_elbo for _, negative_elbo in views])
    return np.asarray(_rank(np.maximum(near, far)) + vae)


@torch.inference_mode()
def neighbour_distances(
    rows: Floats32, k: int, far: int, groups: Ints | None = None
) -> tuple[Floats, Floats]:
    """Return each row's mean distance to its k nearest others, and that to the far-th nearest.

    1 <= k <= far < N. Rows of one group are no neighbours; where fewer are left, those count.
    """
    every = torch.from_numpy(rows)
    group_of = torch.arange(len(rows)) if groups is None else torch.from_numpy(groups)
    near, beyond = [], []
    for start in range(0, len(rows), _BLOCK):
        apart = torch.cdist(every[start : start + _BLOCK], every)
        apart[group_of[start : start + _BLOCK, None] == group_of[None, :]] = torch.inf
        nearest = apart.topk(far, dim=1, largest=False).values.double()
        visible = torch.isfinite(nearest)
        nearest[~visible] = 0.0
        near.append(nearest[:, :k].sum(dim=1) / visible[:, :k].sum(dim=1).clamp(min=1))
        beyond.append(nearest.amax(dim=1))
    return torch.cat(near).numpy(), torch.cat(beyond).numpy()


def trim(fold: Fold, suspicion: Floats, contamination: float) -> Fold:
    """Take the rows of highest suspicion, (N,) of ``fold.fit``, out of memories and statistics.

    The others keep their order. Where no row of ``validation`` is left, all of them stay; the
    held-out rows stay in any case.
    """
    share = min(max(2.0 * contamination, SMALLEST_SHARE), LARGEST_SHARE)
    dropped = np.argsort(-suspicion, kind="stable")[: int(np.ceil(share * len(suspicion)))]
    fit = np.delete(fold.fit, dropped)
    validation = fold.validation[np.isin(fold.validation, fit)]
    return replace(fold, fit=fit, validation=validation if len(validation) else fold.validation)


def usual_scores(scores: Floats, contamination: float) -> Bools:
    """Tell which held-out rows calibrate: those below the widest gap among the largest c.

    Anomalies that score like normals cannot be told from them, and leaving out normals in their
    place would raise the false-positive rate. So not all of the largest c are left out, only what
    stands apart.
    """
    n_largest = int(contamination * len(scores))
    if n_largest == 0:
        return np.ones(len(scores), dtype=bool)
    largest = np.sort(scores)[-n_largest - 1 :]  # and the one below them
    return np.asarray(scores <= largest[np.argmax(np.diff(largest))])


def _rank(values: Floats) -> Floats:
    """Return ranks in (0, 1], equal values alike; the largest value has rank 1."""
    return np.asarray(rankdata(values) / len(values))


def _joint_rank(views: list[Floats]) -> Floats:
    return _rank(np.sum([_rank(values) for values in views], axis=0))
