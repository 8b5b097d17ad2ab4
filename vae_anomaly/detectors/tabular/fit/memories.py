"""The memory of a view: which rows it is made of, and what is usual beside them.

It is made of the training rows themselves, or of a summary of more of them. Where a table has more
rows than the networks are trained on, the memory is chosen from up to
`MAX_MEMORY_ROWS` of them (`vae_anomaly.detectors.tabular.memory.coreset`). Chosen exemplars lie
apart from each other, so what they see of each other does not tell what a new row sees. Hence a
tenth of the rows is kept out of the memory and tells what is usual for each term. Held-out rows are
in neither part. Where no row would be left over, the memory is a uniform draw and measures itself,
row by row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vae_anomaly.arrays import Bools, Floats32, Ints
from vae_anomaly.detectors.tabular.encode.condition import Condition
from vae_anomaly.detectors.tabular.encode.views import View
from vae_anomaly.detectors.tabular.fit.folds import Fold, draw_rows
from vae_anomaly.detectors.tabular.memory.coreset import choose_exemplars
from vae_anomaly.detectors.tabular.memory.exemplars import N_GROUPS, NEAREST, ExemplarMemory
from vae_anomaly.detectors.tabular.model import ViewModel
from vae_anomaly.detectors.tabular.network import RowNetwork, encode_rows
from vae_anomaly.scoring.fusion import TermSurprise

MAX_MEMORY_ROWS = 60_000
MAX_CELLS = 3_000_000  # of these rows: of wide tables fewer are held
MIN_ROWS = 5_000  # fewer are no table worth a summary: a tenth of them tells too little
FRESH_SHARE = 0.1
MAX_FRESH = 5_000
SPREAD_FLOOR = 0.03
EVEN_SHARE = 2  # of the exemplars in latent space every second is a uniform draw


@dataclass(frozen=True)
class MemoryRows:
    """The rows behind one detector's memory.

    Parameters
    ----------
    known : ndarray of int64
        Rows that the exemplars are taken from, in random order.
    fresh : ndarray of int64
        Rows that tell what is usual for each term; none where exemplars tell it themselves, and
        then these are the first known rows.
    seed : int
        Of the choice.
    """

    known: Ints
    fresh: Ints
    seed: int

    @property
    def is_summary(self) -> bool:
        """Whether exemplars are chosen and weighed."""
        return len(self.fresh) > 0


def max_memory_rows(n_columns: int) -> int:
    """Return how many rows of a table are held for its memory, at most."""
    return min(MAX_MEMORY_ROWS, MAX_CELLS // n_columns)


def plan_memory(
    fold: Fold,
    groups: Ints | None,
    n_exemplars: int,
    unseen: Bools,
    *,
    checked: bool,
    seed: int,
) -> MemoryRows:
    """Say which rows the memory of a fold is made of.

    Parameters
    ----------
    groups : ndarray of shape (N,), int64, optional
        No group has rows on both sides.
    n_exemplars : int
        Wanted.
    unseen : ndarray of shape (N,), bool
        Rows with a category that the fold's encoder does not know. They are no exemplars: these
        would vouch for every category that is new.
    checked : bool
        Whether the rows are normal. Of others no summary is made: it would keep the anomalies.
    """
    rows = np.concatenate([fold.fit, fold.more])
    everyone = MemoryRows(rows[~unseen[rows]], rows[:0], seed)
    if not checked or len(rows) < max(MIN_ROWS, n_exemplars):
        return everyone
    wanted = min(int(FRESH_SHARE * len(rows)), MAX_FRESH)
    known, fresh = _apart(rows, groups, wanted, seed)
    known = known[~unseen[known]]
    enough = len(fresh) > 0 and len(known) > n_exemplars
    return MemoryRows(known, fresh[:MAX_FRESH], seed) if enough else everyone


def _apart(rows: Ints, groups: Ints | None, wanted: int, seed: int) -> tuple[Ints, Ints]:
    """Cut rows into those to remember and about as many others as are wanted, groups whole."""
    if groups is None:
        return rows[:-wanted], rows[-wanted:]  # the networks have trained on the first
    fresh = draw_rows(rows, groups, wanted, np.random.default_rng(seed))
    return rows[~np.isin(rows, fresh)], fresh


def remember(
    view: View,
    network: RowNetwork,
    viewed: Floats32,
    *,
    groups: Ints | None,
    sizes: tuple[int, int],
    nearest: int = NEAREST,
    condition: Condition | None = None,
    fresh: Floats32 | None = None,
    seed: int = 0,
) -> ViewModel:
    """Fill the memories of a view with the first of its rows, or with a summary of them.

    Parameters
    ----------
    network : RowNetwork
        Trained.
    viewed : ndarray of shape (N, D), float32
        Training rows in random order.
    groups : ndarray of shape (N,), optional
        Rows of one group do not vouch for each other.
    sizes : (int, int)
        Exemplars in latent and in data space.
    nearest : int
        Exemplars that a gap is measured to.
    condition : Condition, optional
        Under which the rows are shown.
    fresh : ndarray of shape (F, D), float32, optional
        Normal rows beside these. With them, exemplars are chosen as a summary of all rows, and
        the fresh rows tell what is usual for each term; without, the exemplars do.
    seed : int
        Of the choice.
    """
    mean, logvar = encode_rows(network, viewed)
    spread = np.maximum(np.exp(0.5 * logvar.astype(np.float64)).mean(axis=0), SPREAD_FLOOR)
    n_latent, n_data = sizes
    chosen = _chosen(viewed, sizes, None if fresh is None else seed)
    kept = (lambda n: None) if groups is None else (lambda n: groups[chosen[:n]])
    latent = (mean / spread).astype(np.float32)
    latents = ExemplarMemory.fit(
        latent[chosen[:n_latent]],
        groups=kept(n_latent),
        n_groups=64 if nearest <= NEAREST else N_GROUPS,
        nearest=nearest,
    )
    data = ExemplarMemory.fit(viewed[chosen], groups=kept(n_data), nearest=nearest)
    model = ViewModel(
        view=view,
        network=network,
        spread=spread,
        latents=latents,
        data=data,
        latent_gap=TermSurprise.fit(latents.own_gap),
        data_gap=TermSurprise.fit(data.own_gap),
        data_local=TermSurprise.fit(data.own_local),
        condition=condition,
    )
    if fresh is None:
        return model
    latents.weigh(latent, n_latent // EVEN_SHARE)
    data.weigh(viewed, n_latent // EVEN_SHARE)
    return _usual_for(model, fresh)


def _usual_for(model: ViewModel, fresh: Floats32) -> ViewModel:
    """Take what is usual for each term from rows that are no exemplars."""
    near = model.neighbours(encode_rows(model.network, fresh)[0], fresh)
    latent_gap, data_gap, data_local = model.statistics(near)
    return replace(
        model,
        latent_gap=TermSurprise.fit(latent_gap),
        data_gap=TermSurprise.fit(data_gap),
        data_local=TermSurprise.fit(data_local),
    )


def _chosen(viewed: Floats32, sizes: tuple[int, int], seed: int | None) -> Ints:
    """Return the places of the exemplars; the first are those in latent space too.

    Without a seed they are the first rows. Else they are a summary, its uniform part first and the
    others in random order, since a search finds at most one exemplar of each run of places.
    """
    n_latent, n_data = sizes
    if seed is None:
        return np.arange(min(n_data, len(viewed)))
    rng, n_even = np.random.default_rng(seed), n_latent // EVEN_SHARE
    chosen = choose_exemplars(viewed, n_data, n_even, rng)
    middle, rest = chosen[n_even:n_latent], chosen[n_latent:]
    return np.concatenate([chosen[:n_even], rng.permutation(middle), rng.permutation(rest)])
