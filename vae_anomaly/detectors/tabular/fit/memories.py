"""The memory of a view: which rows it is made of, and what is usual beside them.

It is made of the training rows themselves, or of a summary of more of them. Where a table has more
rows than the networks are trained on, the memory is chosen from up to `MAX_MEMORY_ROWS` of them.
Chosen exemplars lie apart from each other, so what they see of each other does not tell what a new
row sees. Hence a tenth of the rows is kept out of the memory and tells what is usual for each term.
Held-out rows are in neither part. Where no row would be left over, the memory is a uniform draw and
measures itself, row by row.

A uniform draw spends the memory where rows are densest, where one exemplar would do for hundreds,
and misses what is rare. In a summary the first exemplars are a uniform draw; each further one is
drawn with a probability that grows with its squared distance to the exemplars before it. So rare
kinds of normal rows are kept and dense regions thinned out, and `ExemplarMemory.weigh` counts how
many rows each exemplar stands for. Exemplars are drawn in rounds: those of one round do not see
each other.

References
----------
Arthur and Vassilvitskii, k-means++: The Advantages of Careful Seeding, 2007 (squared distances).
Bahmani et al., Scalable K-Means++, 2012 (rounds).
Efraimidis and Spirakis, Weighted random sampling with a reservoir, 2006 (keys).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from vae_anomaly.arrays import Bools, Floats, Floats32, Ints
from vae_anomaly.detectors.tabular.exemplars import N_GROUPS, NEAREST, ExemplarMemory
from vae_anomaly.detectors.tabular.fit.folds import Fold, draw_rows
from vae_anomaly.detectors.tabular.fit.networks import PreparedFold
from vae_anomaly.detectors.tabular.fit.trimming import NEAREST_IF_CONTAMINATED
from vae_anomaly.detectors.tabular.model import ViewModel
from vae_anomaly.detectors.tabular.network import RowNetwork, encode_rows
from vae_anomaly.detectors.tabular.settings import TableSettings
from vae_anomaly.scoring.fusion import TermSurprise

MAX_MEMORY_ROWS = 60_000
_MAX_CELLS = 3_000_000  # of these rows: of wide tables fewer are held
MIN_ROWS = 5_000  # fewer are no table worth a summary: a tenth of them tells too little
FRESH_SHARE = 0.1
MAX_FRESH = 5_000
_SPREAD_FLOOR = 0.03
EVEN_SHARE = 2  # of the exemplars in latent space every second is a uniform draw
ROUND = 512  # exemplars drawn before distances are measured anew
_BLOCK = 2_048  # rows measured at a time: their products stay in the processor's cache
NOISE = 1e-5  # of a squared norm, under which a squared distance from products is rounding


@dataclass(frozen=True)
class MemoryRows:
    """The rows behind one detector's memory."""

    known: Ints  # that the exemplars are taken from, in random order
    fresh: Ints  # that tell what is usual for each term; none where the exemplars, the first known
    # rows, tell it themselves

    @property
    def is_summary(self) -> bool:
        """Whether exemplars are chosen and weighed."""
        return len(self.fresh) > 0


def max_memory_rows(n_columns: int) -> int:
    """Return how many rows of a table are held for its memory, at most."""
    return min(MAX_MEMORY_ROWS, _MAX_CELLS // n_columns)


def plan_memory(
    fold: Fold,
    groups: Ints | None,
    n_exemplars: int,
    unseen: Bools,
    *,
    checked: bool,
    seed: int,
) -> MemoryRows:
    """Say which rows the memory of a fold is made of; no group has rows on both sides.

    Rows that are unseen, (N,), have a category that the fold's encoder does not know. They are no
    exemplars: these would vouch for every category that is new. Of rows that are not checked to be
    normal no summary is made: it would keep the anomalies.
    """
    rows = np.concatenate([fold.fit, fold.more])
    everyone = MemoryRows(rows[~unseen[rows]], rows[:0])
    if not checked or len(rows) < max(MIN_ROWS, n_exemplars):
        return everyone
    wanted = min(int(FRESH_SHARE * len(rows)), MAX_FRESH)
    known, fresh = _apart(rows, groups, wanted, seed)
    known = known[~unseen[known]]
    enough = len(fresh) > 0 and len(known) > n_exemplars
    return MemoryRows(known, fresh[:MAX_FRESH]) if enough else everyone


def _apart(rows: Ints, groups: Ints | None, wanted: int, seed: int) -> tuple[Ints, Ints]:
    """Cut rows into those to remember and about as many others as are wanted, groups whole."""
    if groups is None:
        return rows[:-wanted], rows[-wanted:]  # the networks have trained on the first
    fresh = draw_rows(rows, groups, wanted, np.random.default_rng(seed))
    return rows[~np.isin(rows, fresh)], fresh


def remember(
    one: PreparedFold,
    place: int,
    network: RowNetwork,
    rows: MemoryRows,
    groups: Ints | None,
    settings: TableSettings,
) -> ViewModel:
    """Fill the memories of one view of a fold; rows of one group do not vouch for each other.

    Exemplars are the first known rows, which tell themselves what is usual for each term. Where
    there are fresh rows to tell it, the exemplars are a summary of all known rows.
    """
    shown, (n_latent, n_data) = one.viewed(place), settings.memory_sizes
    viewed, nearest = shown[rows.known], NEAREST
    if settings.contamination:
        nearest = NEAREST_IF_CONTAMINATED
    mean, logvar = encode_rows(network, viewed)
    spread = np.maximum(np.exp(0.5 * logvar.astype(np.float64)).mean(axis=0), _SPREAD_FLOOR)
    latent = (mean / spread).astype(np.float32)
    chosen = np.arange(min(n_data, len(viewed)))
    if rows.is_summary:
        chosen = _summary(viewed, settings.memory_sizes, settings.seed)
    owners = None if groups is None else groups[rows.known][chosen]
    latents = ExemplarMemory.fit(
        latent[chosen[:n_latent]],
        groups=None if owners is None else owners[:n_latent],
        n_groups=64 if nearest <= NEAREST else N_GROUPS,
        nearest=nearest,
    )
    data = ExemplarMemory.fit(viewed[chosen], groups=owners, nearest=nearest)
    model = ViewModel(
        view=one.views[place],
        network=network,
        spread=spread,
        latents=latents,
        data=data,
        latent_gap=TermSurprise.fit(latents.own_gap),
        data_gap=TermSurprise.fit(data.own_gap),
        data_local=TermSurprise.fit(data.own_local),
        condition=one.conditions[place],
    )
    if not rows.is_summary:
        return model
    latents.weigh(latent, n_latent // EVEN_SHARE)
    data.weigh(viewed, n_latent // EVEN_SHARE)
    return _usual_for(model, shown[rows.fresh])


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


def _summary(viewed: Floats32, sizes: tuple[int, int], seed: int) -> Ints:
    """Return the places of the exemplars of a summary; the first are those in latent space too.

    Its uniform part comes first, then the others in random order, since a search finds at most one
    exemplar of each run of places.
    """
    n_latent, n_data = sizes
    rng, n_even = np.random.default_rng(seed), n_latent // EVEN_SHARE
    chosen = choose_exemplars(viewed, n_data, n_even, rng)
    middle, rest = chosen[n_even:n_latent], chosen[n_latent:]
    return np.concatenate([chosen[:n_even], rng.permutation(middle), rng.permutation(rest)])


def choose_exemplars(rows: Floats32, n: int, n_even: int, rng: np.random.Generator) -> Ints:
    """Return the places of n rows that together lie near all others, (n,), rows (N, D) at random.

    The first ``n_even``, at least 1, are 0, 1, 2, ...: a uniform draw. Every beginning of the rest
    is a summary as well.
    """
    centred = torch.from_numpy(rows - rows.mean(axis=0))
    norm = centred.square().sum(1)
    apart = torch.full((len(rows),), torch.inf)
    rounds = [np.arange(n_even)]
    while (left := n - sum(map(len, rounds))) > 0:
        _bring_nearer(apart, centred, norm, torch.from_numpy(rounds[-1]))
        taken = np.concatenate(rounds)
        rounds.append(_draw(apart.double().numpy(), taken, min(left, ROUND), rng))
    return np.concatenate(rounds)


def _bring_nearer(
    apart: torch.Tensor, rows: torch.Tensor, norm: torch.Tensor, new: torch.Tensor
) -> None:
    """Lower each row's squared distance to its nearest exemplar where a new one is nearer."""
    exemplars = rows[new]
    table = torch.cat([exemplars.T, -0.5 * norm[new][None, :]])  # x . e - |e|^2 / 2
    ones = torch.ones(_BLOCK, 1)
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        best = (torch.cat([rows[part], ones[: len(rows[part])]], dim=1) @ table).amax(1)
        squared = norm[part] - 2.0 * best
        squared[squared < NOISE * norm[part]] = 0.0
        apart[part] = torch.minimum(apart[part], squared)


def _draw(squared: Floats, taken: Ints, n: int, rng: np.random.Generator) -> Ints:
    """Draw n rows with probability proportional to their squared distance, never one twice.

    Rows at distance 0 come last, in any order.
    """
    keys = np.log(np.maximum(squared, 1e-300)) + rng.gumbel(size=len(squared))
    keys[taken] = -np.inf
    return np.argpartition(-keys, n - 1)[:n]
