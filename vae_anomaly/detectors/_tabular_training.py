"""Train the networks of all folds and views side by side, and build each fold's scorer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from vae_anomaly.data.encoding import EncodedTable, TableEncoder
from vae_anomaly.data.views import View, make_view
from vae_anomaly.detectors._tabular_rows import Fold
from vae_anomaly.detectors._tabular_scorer import (
    RowScorer,
    ViewScorer,
    evidence_of,
    target_layout,
    targets_of,
)
from vae_anomaly.models.ensemble import EnsembleGroup, EnsembleVAE, TargetLayout
from vae_anomaly.progress import Progress
from vae_anomaly.scoring.fusion import Surprise
from vae_anomaly.training import History, TrainingConfig, fit_vae

__all__ = ["ColumnMask", "FitOptions", "fit_scorers", "uses_typed_elbo"]

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

MAX_LATENTS = 32
MAX_FEATURES_WITH_MASK = 100  # wider inputs are not doubled
MASKED_ROWS = 0.5
LARGEST_MASK = 0.8
DISCRETE_SHARE = 0.5


@dataclass(frozen=True)
class FitOptions:
    """How the networks and memories are made.

    Parameters
    ----------
    views : tuple of str
    hidden : int
    latent_dim : int or None
        None takes the number of features, at least 2 and at most 32.
    beta : float
    max_steps : int or None
        None takes 60 epochs, at least 250 and at most 300 steps.
    memory_sizes : (int, int)
        Exemplars in latent and in data space.
    seed : int
    """

    views: tuple[str, ...]
    hidden: int
    latent_dim: int | None
    beta: float
    max_steps: int | None
    memory_sizes: tuple[int, int]
    seed: int


@dataclass(frozen=True)
class _Prepared:
    """One fold's rows as its own encoder and views show them."""

    fold: Fold
    encoder: TableEncoder
    views: tuple[View, ...]
    table: EncodedTable  # every row of the frame

    def viewed(self, view: View) -> Singles:
        return view.transform(self.table.numbers)


class ColumnMask:
    """Hide random columns from the encoder: half of the rows lose up to 80 % of theirs.

    Parameters
    ----------
    encoder : TableEncoder
        All features of a column are hidden together.
    sees_mask : bool
        Whether the encoder is told what is hidden.
    """

    def __init__(self, encoder: TableEncoder, *, sees_mask: bool) -> None:
        self.n_columns, self.sees_mask = len(encoder.columns), sees_mask
        owners = [feature.owners for feature in encoder.features]
        self.first = torch.tensor([owner[0] for owner in owners])
        self.last = torch.tensor([owner[-1] for owner in owners])

    def __call__(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return rows (N, K, D) with hidden features 0, and with the mask where it is seen."""
        n = len(x)
        masked = torch.rand(n, 1, generator=generator) < MASKED_ROWS
        rate = torch.rand(n, 1, generator=generator) * LARGEST_MASK * masked
        hidden = torch.rand(n, self.n_columns, generator=generator) < rate
        lost = (hidden[:, self.first] | hidden[:, self.last]).unsqueeze(1)  # (N, 1, D)
        kept = torch.where(lost, torch.zeros(()), x)
        return torch.cat([kept, lost.expand_as(x).float()], dim=-1) if self.sees_mask else kept


def uses_typed_elbo(encoder: TableEncoder) -> bool:
    """Tell whether the ELBO joins the score: declared categories, or mostly discrete columns."""
    categorical = any(column.kind == "categorical" for column in encoder.columns)
    return categorical or len(encoder.discrete) >= DISCRETE_SHARE * len(encoder.columns)


def fit_scorers(
    frame: pd.DataFrame,
    encoder: TableEncoder,
    folds: Sequence[Fold],
    groups: NDArray[np.int64] | None,
    options: FitOptions,
    progress: Progress | None = None,
) -> tuple[list[RowScorer], History]:
    """Fit one scorer per fold.

    Parameters
    ----------
    frame : DataFrame of N typed rows
    encoder : TableEncoder
        Gives the layout; each fold takes its own statistics.
    folds : sequence of Fold
    groups : ndarray of shape (N,), int64, optional
    options : FitOptions
    progress : Progress, optional

    Returns
    -------
    scorers : list of RowScorer
    history : History
        Of all networks together: means over folds and views.
    """
    prepared = [_prepare(frame, encoder, fold, options.views) for fold in folds]
    typed = uses_typed_elbo(encoder)
    networks, history = _train(prepared, typed, options, progress)
    scorers = []
    for place, (one, nets) in enumerate(zip(prepared, networks, strict=True)):
        scorers.append(_scorer(one, nets, groups, typed, options))
        if progress is not None:
            progress("memory", place + 1, len(prepared))
    return scorers, history


def _prepare(
    frame: pd.DataFrame, encoder: TableEncoder, fold: Fold, views: tuple[str, ...]
) -> _Prepared:
    own = encoder.refit(frame.iloc[fold.fit])
    table = own.transform(frame)
    training = table.numbers[fold.fit]
    fitted = tuple(make_view(name).fit(training, own.fixed) for name in views)
    return _Prepared(fold, own, fitted, table)


def _train(
    prepared: Sequence[_Prepared], typed: bool, options: FitOptions, progress: Progress | None
) -> tuple[list[list[EnsembleVAE]], History]:
    """Train all members in one loop; return the networks fold by fold, view by view."""
    first = prepared[0]
    n_views, d = len(options.views), first.table.numbers.shape[1]
    layouts = [
        target_layout(first.encoder, typed=typed and place == n_views - 1)
        for place in range(n_views)
    ]
    sees_mask = d <= MAX_FEATURES_WITH_MASK
    group = _networks(prepared, layouts, d, sees_mask, options)
    tensors = [_tensors(prepared, place, layouts[place]) for place in range(n_views)]
    x = torch.cat([pair[0] for pair in tensors], dim=1)
    target = torch.cat([_widened(pair[1], group.n_targets) for pair in tensors], dim=1)
    train = _member_weights([p.fold.train for p in prepared], len(x), n_views)
    check = _member_weights([p.fold.validation for p in prepared], len(x), n_views)
    learn, stop = train.any(dim=1), check.any(dim=1)
    history = fit_vae(
        group,
        x[learn],
        target=target[learn],
        validation=x[stop],
        validation_target=target[stop],
        extras={"weights": _unit_mean(train[learn])},
        validation_extras={"weights": _unit_mean(check[stop])},
        config=_training_config(int(train.sum(0).max()), d, options),
        corruption=ColumnMask(first.encoder, sees_mask=sees_mask),
        progress=progress,
    )
    members = group.members()
    n_folds = len(prepared)
    return [[members[v * n_folds + f] for v in range(n_views)] for f in range(n_folds)], history


def _networks(
    prepared: Sequence[_Prepared],
    layouts: Sequence[TargetLayout],
    n_features: int,
    sees_mask: bool,
    options: FitOptions,
) -> EnsembleGroup:
    """Make one ensemble for all views, or one for each where they ask for different targets."""
    latent_dim = options.latent_dim or max(2, min(n_features, MAX_LATENTS))
    alike = len(set(layouts)) == 1
    blocks = [range(len(layouts))] if alike else [range(i, i + 1) for i in range(len(layouts))]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        return EnsembleGroup(
            [
                EnsembleVAE(
                    len(prepared) * len(places),
                    n_features,
                    latent_dim,
                    layouts[places[0]],
                    hidden=options.hidden,
                    sees_mask=sees_mask,
                    codebook=_codebook(prepared, places) if layouts[places[0]].classes else None,
                )
                for places in blocks
            ]
        )


def _codebook(prepared: Sequence[_Prepared], places: Sequence[int]) -> torch.Tensor:
    """Return what each class is in the encoded features, as each fold's view shows it."""
    books = []
    for place, one in ((place, one) for place in places for one in prepared):
        parts = []
        for where, values in one.encoder.codebook():
            block = np.zeros((len(values), len(one.encoder.features)))
            for offset, feature in enumerate(range(where.start, where.stop)):
                block[:, feature] = one.views[place].column(feature, values[:, offset])
            parts.append(block)
        books.append(np.concatenate(parts))
    return torch.from_numpy(np.stack(books)).float()


def _tensors(
    prepared: Sequence[_Prepared], place: int, layout: TargetLayout
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return inputs (N, folds, D) and targets (N, folds, n_targets) of one view."""
    viewed = [one.viewed(one.views[place]) for one in prepared]
    targets = [
        targets_of(rows, one.table.codes, layout)
        for rows, one in zip(viewed, prepared, strict=True)
    ]
    return torch.from_numpy(np.stack(viewed, axis=1)), torch.from_numpy(np.stack(targets, axis=1))


def _widened(target: torch.Tensor, width: int) -> torch.Tensor:
    return torch.nn.functional.pad(target, (0, width - target.shape[-1]))


def _member_weights(rows: Sequence[NDArray[np.int64]], n: int, n_views: int) -> torch.Tensor:
    """Return 1 where a member may see a row, shape (N, members); views first, folds inside."""
    weights = torch.zeros(n, len(rows))
    for fold, seen in enumerate(rows):
        weights[torch.from_numpy(seen), fold] = 1.0
    return weights.repeat(1, n_views)


def _unit_mean(weights: torch.Tensor) -> torch.Tensor:
    """Scale each member's weights to mean 1, so that means over rows are means over its rows."""
    return weights / weights.mean(dim=0, keepdim=True)


def _training_config(n_rows: int, n_features: int, options: FitOptions) -> TrainingConfig:
    batch = 64 if n_features > 200 else 128
    steps = options.max_steps
    if steps is None:
        longest = 250 if n_features > 400 else 300
        steps = int(np.clip(60 * n_rows / batch, 250, longest))
    return TrainingConfig(
        max_steps=steps,
        batch_size=batch,
        lr=4e-3,
        weight_decay=1e-3,
        lr_warmup_steps=min(30, steps // 2),
        lr_schedule="cosine",
        beta=options.beta,
        kl_schedule="linear",
        kl_warmup_steps=steps // 5,
        clip_norm=10.0,
        patience=2,
        eval_every=max(1, min(50, steps)),
        min_steps=steps // 2,
        random_state=options.seed,
    )


def _scorer(
    one: _Prepared,
    networks: Sequence[EnsembleVAE],
    groups: NDArray[np.int64] | None,
    typed: bool,
    options: FitOptions,
) -> RowScorer:
    """Fill the memories of one fold and learn what is usual for each term."""
    fit = one.fold.fit
    own_groups = None if groups is None else groups[fit]
    views = tuple(
        ViewScorer.fit(
            view,
            network,
            one.viewed(view)[fit],
            groups=own_groups,
            sizes=options.memory_sizes,
        )
        for view, network in zip(one.views, networks, strict=True)
    )
    nll, negative_elbo = _held_out_likelihood(one, views[-1])
    elbo = Surprise.fit(negative_elbo) if typed else None
    return RowScorer(one.encoder, views, elbo, nll.mean(axis=0))


def _held_out_likelihood(one: _Prepared, scorer: ViewScorer) -> tuple[Floats, Floats]:
    """Return nll per target and negative ELBO of the rows that the network did not train on."""
    rows = one.table.take(one.fold.validation)
    viewed = scorer.look(rows.numbers)
    target = targets_of(viewed, rows.codes, scorer.vae.layout)
    evidence = evidence_of(scorer.vae, viewed, target)
    return evidence.nll_per_dim, -evidence.elbo
