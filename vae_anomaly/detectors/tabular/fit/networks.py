"""Train the networks of all folds and views side by side, and build each fold's scorer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from vae_anomaly.arrays import Floats32, Ints
from vae_anomaly.detectors.tabular.encode.condition import Condition, find_condition
from vae_anomaly.detectors.tabular.encode.table import EncodedTable, TableEncoder
from vae_anomaly.detectors.tabular.encode.views import View, make_view
from vae_anomaly.detectors.tabular.fit.collapse import forewarn
from vae_anomaly.detectors.tabular.fit.folds import Fold
from vae_anomaly.detectors.tabular.fit.one_by_one import train_alone
from vae_anomaly.detectors.tabular.fit.trimming import NEAREST_IF_CONTAMINATED, strangeness, trim
from vae_anomaly.detectors.tabular.fit.vote import NOTHING_TO_COMPARE, Trust, trust_in_vae
from vae_anomaly.detectors.tabular.memory.exemplars import NEAREST
from vae_anomaly.detectors.tabular.memory.plan import MemoryRows, plan_memory
from vae_anomaly.detectors.tabular.model import (
    RowScorer,
    ViewScorer,
    evidence_of,
    target_layout,
    targets_of,
    weights_at,
)
from vae_anomaly.detectors.tabular.network import RowNetwork, StackedNetwork
from vae_anomaly.detectors.tabular.settings import ColumnMask, FitOptions, training_config
from vae_anomaly.progress import Progress
from vae_anomaly.scoring.evidence import Evidence
from vae_anomaly.scoring.fusion import Surprise
from vae_anomaly.vae.noise import GaussianNoise
from vae_anomaly.vae.stacked import EnsembleGroup, EnsembleVAE, TargetLayout
from vae_anomaly.vae.training import History, fit_vae

MAX_FEATURES_WITH_MASK = 100  # wider inputs are not doubled
DISCRETE_SHARE = 0.5
MAX_TRUST_ROWS = 600


@dataclass(frozen=True)
class _Prepared:
    """One fold's rows as its own encoder and views show them."""

    fold: Fold
    encoder: TableEncoder
    views: tuple[View, ...]
    conditions: tuple[Condition | None, ...]  # one for each view
    table: EncodedTable  # every row of the frame

    def viewed(self, place: int) -> Floats32:
        rows, condition = self.views[place].transform(self.table.numbers), self.conditions[place]
        return rows if condition is None else condition.apply(rows)


def uses_typed_elbo(encoder: TableEncoder) -> bool:
    """Tell whether the ELBO joins the score: declared categories, or mostly discrete columns."""
    discrete = len(encoder.discrete) >= DISCRETE_SHARE * len(encoder.columns)
    return discrete or _has_categories(encoder)


def _has_categories(encoder: TableEncoder) -> bool:
    return any(column.kind == "categorical" for column in encoder.columns)


def fit_scorers(
    frame: pd.DataFrame,
    encoder: TableEncoder,
    folds: Sequence[Fold],
    groups: Ints | None,
    options: FitOptions,
    progress: Progress | None = None,
) -> tuple[list[RowScorer], list[Fold], History]:
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
    folds : list of Fold
        The rows that memories and statistics are made of: fewer than given where anomalies are
        expected among them.
    history : History
        Of all networks together: means over folds and views.
    """
    column = None if options.condition is None else find_condition(encoder, options.condition)
    prepared = [_prepare(frame, encoder, fold, options.views, column) for fold in folds]
    typed = uses_typed_elbo(encoder)
    if options.chosen_beta:
        rows = prepared[0].viewed(len(options.views) - 1)[prepared[0].fold.fit]
        forewarn(rows, options.beta, options.latents(rows.shape[1]))
    networks, history = _train(prepared, typed, column, options, progress)
    prepared = [_trimmed(*pair, groups, options) for pair in zip(prepared, networks, strict=True)]
    joins = options.member.has_prior and (typed or column is not None)
    scorers, trusts = [], []
    for place, (one, nets) in enumerate(zip(prepared, networks, strict=True)):
        scorers.append(replace(_scorer(one, nets, groups, joins, options), condition=column))
        trusts.append(_trust(one, scorers[-1].views[0], groups, options))
        if progress is not None:
            progress("memory", place + 1, len(prepared))
    latents, elbo = np.mean(trusts, axis=0)  # one for all: calibration compares their scores
    weights = weights_at(float(latents), float(elbo))
    fitted = [replace(scorer, term_weights=weights) for scorer in scorers]
    return fitted, [one.fold for one in prepared], history


def _prepare(
    frame: pd.DataFrame,
    encoder: TableEncoder,
    fold: Fold,
    views: tuple[str, ...],
    column: int | None,
) -> _Prepared:
    own = encoder.refit(frame.iloc[fold.fit])
    table = own.transform(frame)
    training = table.numbers[fold.fit]
    fitted = tuple(make_view(name).fit(training, own.fixed) for name in views)
    conditions = tuple(
        None if column is None else Condition.fit(own, column, view, view.transform(training))
        for view in fitted
    )
    return _Prepared(fold, own, fitted, conditions, table)


def _train(
    prepared: Sequence[_Prepared],
    typed: bool,
    column: int | None,
    options: FitOptions,
    progress: Progress | None,
) -> tuple[list[list[RowNetwork]], History]:
    """Train every network; return them fold by fold, view by view."""
    if options.member.stacked:
        return _train_stacked(prepared, typed, options, progress)
    n_views = len(options.views)
    jobs = [
        (one.viewed(place), one.fold, one.conditions[place])
        for one in prepared
        for place in range(n_views)
    ]
    networks, history = train_alone(prepared[0].encoder, jobs, column, options, progress)
    starts = range(0, len(networks), n_views)
    return [list(networks[start : start + n_views]) for start in starts], history


def _train_stacked(
    prepared: Sequence[_Prepared], typed: bool, options: FitOptions, progress: Progress | None
) -> tuple[list[list[RowNetwork]], History]:
    """Train all members in one loop; return the networks fold by fold, view by view."""
    first = prepared[0]
    n_views, d = len(options.views), first.table.numbers.shape[1]
    layouts = [
        target_layout(first.encoder, typed=typed and place == n_views - 1)
        for place in range(n_views)
    ]
    noise = options.member.noise
    sees_mask = d <= MAX_FEATURES_WITH_MASK and not noise
    mask = ColumnMask(first.encoder, sees_mask=sees_mask)
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
        config=training_config(int(train.sum(0).max()), d, options),
        corruption=GaussianNoise(noise) if noise else mask,
        progress=progress,
    )
    members = [StackedNetwork(vae, predicts_hidden=not noise) for vae in group.members()]
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
    latent_dim = options.latents(n_features)
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
    viewed = [one.viewed(place) for one in prepared]
    targets = [
        targets_of(rows, one.table.codes, layout)
        for rows, one in zip(viewed, prepared, strict=True)
    ]
    return torch.from_numpy(np.stack(viewed, axis=1)), torch.from_numpy(np.stack(targets, axis=1))


def _widened(target: torch.Tensor, width: int) -> torch.Tensor:
    return torch.nn.functional.pad(target, (0, width - target.shape[-1]))


def _member_weights(rows: Sequence[Ints], n: int, n_views: int) -> torch.Tensor:
    """Return 1 where a member may see a row, shape (N, members); views first, folds inside."""
    weights = torch.zeros(n, len(rows))
    for fold, seen in enumerate(rows):
        weights[torch.from_numpy(seen), fold] = 1.0
    return weights.repeat(1, n_views)


def _unit_mean(weights: torch.Tensor) -> torch.Tensor:
    """Scale each member's weights to mean 1, so that means over rows are means over its rows."""
    return weights / weights.mean(dim=0, keepdim=True)


def _trimmed(
    one: _Prepared,
    networks: Sequence[RowNetwork],
    groups: Ints | None,
    options: FitOptions,
) -> _Prepared:
    """Take the strangest rows out of a fold where anomalies are expected among them."""
    if not options.contamination:
        return one
    fit, views = one.fold.fit, []
    for place, network in enumerate(networks):
        rows = one.viewed(place)[fit]
        target = targets_of(rows, one.table.codes[fit], network.layout)
        views.append((rows, -evidence_of(network, rows, target).elbo))
    strange = strangeness(views, options.contamination, None if groups is None else groups[fit])
    return replace(one, fold=trim(one.fold, strange, options.contamination))


def _scorer(
    one: _Prepared,
    networks: Sequence[RowNetwork],
    groups: Ints | None,
    joins: bool,
    options: FitOptions,
) -> RowScorer:
    """Fill the memories of one fold and learn what is usual for each term."""
    rows = plan_memory(
        one.fold,
        groups,
        options.memory_sizes[1],
        np.asarray(one.table.unseen.any(axis=1)),
        checked=not options.contamination,
        seed=options.seed,
    )
    views = tuple(
        _view_scorer(one, place, network, rows, groups, options)
        for place, network in enumerate(networks)
    )
    reported = _held_out_evidence(one, views[-1])
    return RowScorer(
        encoder=one.encoder,
        views=views,
        elbo=Surprise.fit(-reported.elbo) if joins else None,
        typical_nll=reported.nll_per_dim.mean(axis=0),
        term_weights=weights_at(*NOTHING_TO_COMPARE),
    )


def _view_scorer(
    one: _Prepared,
    place: int,
    network: RowNetwork,
    rows: MemoryRows,
    groups: Ints | None,
    options: FitOptions,
) -> ViewScorer:
    viewed = one.viewed(place)
    return ViewScorer.fit(
        one.views[place],
        network,
        viewed[rows.known],
        groups=None if groups is None else groups[rows.known],
        sizes=options.memory_sizes,
        nearest=NEAREST_IF_CONTAMINATED if options.contamination else NEAREST,
        condition=one.conditions[place],
        fresh=viewed[rows.fresh] if rows.is_summary else None,
        seed=rows.seed,
    )


def _held_out_evidence(one: _Prepared, scorer: ViewScorer) -> Evidence:
    """Return the evidence of the rows that the network did not train on."""
    rows = one.table.take(one.fold.validation)
    viewed = scorer.look(rows.numbers)
    target = targets_of(viewed, rows.codes, scorer.vae.layout)
    return evidence_of(scorer.vae, viewed, target)


def _trust(one: _Prepared, scorer: ViewScorer, groups: Ints | None, options: FitOptions) -> Trust:
    """Return how far to trust the VAE of the first view, whose features are all Gaussian.

    Declared categories keep their ELBO's vote: a kernel on their indicators says little of it.
    """
    fit = one.fold.fit
    held_out = np.flatnonzero(np.isin(fit, one.fold.validation))[:MAX_TRUST_ROWS]
    rows = scorer.look(one.table.take(fit[held_out]).numbers)
    known = one.viewed(0)[fit[: options.memory_sizes[1]]]
    trust = trust_in_vae(scorer, rows, known, held_out, None if groups is None else groups[fit])
    return trust._replace(typed_elbo=1.0) if _has_categories(one.encoder) else trust
