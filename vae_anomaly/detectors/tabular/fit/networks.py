"""Train the networks of all folds and views: in one stacked loop, or one after another.

Members of the family that cannot be stacked train alone, one network a fold and view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan

import numpy as np
import pandas as pd
import torch

from vae_anomaly.arrays import Floats32, Ints
from vae_anomaly.detectors.tabular.encode.condition import Condition
from vae_anomaly.detectors.tabular.encode.table import EncodedTable, TableEncoder
from vae_anomaly.detectors.tabular.encode.views import VIEWS, View
from vae_anomaly.detectors.tabular.fit.collapse import forewarn
from vae_anomaly.detectors.tabular.fit.folds import Fold
from vae_anomaly.detectors.tabular.network import (
    FamilyNetwork,
    RowNetwork,
    StackedNetwork,
    target_layout,
    targets_of,
)
from vae_anomaly.detectors.tabular.settings import TableSettings
from vae_anomaly.detectors.tabular.start import network_facts
from vae_anomaly.detectors.warm_start import warmed
from vae_anomaly.progress import Progress, null_progress, part_of
from vae_anomaly.vae.family import ModelDescription
from vae_anomaly.vae.noise import GaussianNoise
from vae_anomaly.vae.priors import VampPrior
from vae_anomaly.vae.stacked import EnsembleGroup, EnsembleVAE, TargetLayout
from vae_anomaly.vae.training import History, TrainingConfig, fit_vae
from vae_anomaly.vae.training.loop import Corruption

MAX_FEATURES_WITH_MASK = 100  # wider inputs are not doubled
DISCRETE_SHARE = 0.5
MASKED_ROWS = 0.5
LARGEST_MASK = 0.8
N_COMPONENTS = 20  # of a learned prior


@dataclass(frozen=True)
class PreparedFold:
    """One fold's rows as its own encoder and views show them."""

    fold: Fold
    encoder: TableEncoder
    views: tuple[View, ...]
    conditions: tuple[Condition | None, ...]  # one for each view
    table: EncodedTable  # every row of the frame

    def viewed(self, place: int) -> Floats32:
        """Return every row as one view shows it, (N, D)."""
        rows, condition = self.views[place].transform(self.table.numbers), self.conditions[place]
        return rows if condition is None else condition.apply(rows)


def uses_typed_elbo(encoder: TableEncoder) -> bool:
    """Tell whether the ELBO joins the score: declared categories, or mostly discrete columns."""
    discrete = len(encoder.discrete) >= DISCRETE_SHARE * len(encoder.columns)
    return discrete or has_categories(encoder)


def has_categories(encoder: TableEncoder) -> bool:
    """Tell whether a column was declared or found to be categorical."""
    return any(column.kind == "categorical" for column in encoder.columns)


def prepare(
    frame: pd.DataFrame,
    encoder: TableEncoder,
    fold: Fold,
    views: tuple[str, ...],
    column: int | None,
) -> PreparedFold:
    """Encode a frame with the statistics of one fold; ``column`` is the condition, if any."""
    refitted = encoder.refit(frame.iloc[fold.fit])
    table = refitted.transform(frame)
    training = table.numbers[fold.fit]
    fitted = tuple(VIEWS[name].fit(training, refitted.fixed) for name in views)
    conditions = tuple(
        None if column is None else Condition.fit(refitted, column, view, view.transform(training))
        for view in fitted
    )
    return PreparedFold(fold, refitted, fitted, conditions, table)


class ColumnMask:
    """Hide random columns from the encoder: half of the rows lose up to 80 % of theirs.

    All features of a column are hidden together. With ``sees_mask`` the encoder is told what is
    hidden; the column ``shown`` never is.
    """

    def __init__(self, encoder: TableEncoder, *, sees_mask: bool, shown: int | None = None) -> None:
        self.shown = shown
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
        if self.shown is not None:
            hidden[:, self.shown] = False
        lost = (hidden[:, self.first] | hidden[:, self.last]).unsqueeze(1)  # (N, 1, D)
        visible = torch.where(lost, torch.zeros(()), x)
        if not self.sees_mask:
            return visible
        return torch.cat([visible, lost.expand_as(x).float()], dim=-1)


def training_config(n_rows: int, n_features: int, settings: TableSettings) -> TrainingConfig:
    """Return how long and how fast the networks of one detector train."""
    batch = 64 if n_features > 200 else 128
    steps = settings.max_steps
    if steps is None:
        longest = 250 if n_features > 400 else 300
        steps = int(np.clip(60 * n_rows / batch, 250, longest))
    config = TrainingConfig(
        max_steps=steps,
        batch_size=batch,
        lr=4e-3,
        weight_decay=1e-3,
        lr_warmup_steps=min(30, steps // 2),
        lr_schedule="cosine",
        beta=settings.kl_weight,
        kl_schedule="linear",
        kl_warmup_steps=steps // 5,
        clip_norm=10.0,
        patience=2,
        eval_every=max(1, min(50, steps)),
        min_steps=steps // 2,
        random_state=settings.seed,
    )
    return config if settings.start is None else warmed(config)


def train_networks(
    prepared: Sequence[PreparedFold],
    typed: bool,
    column: int | None,
    settings: TableSettings,
    progress: Progress | None,
) -> tuple[list[list[RowNetwork]], History]:
    """Train every network; return them fold by fold, view by view."""
    if settings.has_heavy_kl:
        rows = prepared[0].viewed(len(settings.views) - 1)[prepared[0].fold.fit]
        forewarn(rows, settings.kl_weight, settings.latents(rows.shape[1]))
    if settings.member.stacked:
        return _train_stacked(prepared, typed, settings, progress)
    return _train_alone(prepared, column, settings, progress or null_progress)


def _train_stacked(
    prepared: Sequence[PreparedFold],
    typed: bool,
    settings: TableSettings,
    progress: Progress | None,
) -> tuple[list[list[RowNetwork]], History]:
    """Train all members in one loop; return the networks fold by fold, view by view."""
    first = prepared[0]
    n_views, d = len(settings.views), first.table.numbers.shape[1]
    layouts = [
        target_layout(first.encoder, typed=typed and place == n_views - 1)
        for place in range(n_views)
    ]
    noise = settings.member.noise
    sees_mask = d <= MAX_FEATURES_WITH_MASK and not noise
    mask = ColumnMask(first.encoder, sees_mask=sees_mask)
    group = _networks(prepared, layouts, d, sees_mask, settings)
    _begin_stacked(group, prepared, settings)
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
        config=training_config(int(train.sum(0).max()), d, settings),
        corruption=GaussianNoise(noise) if noise else mask,
        progress=progress,
    )
    members = [StackedNetwork(vae, predicts_hidden=not noise) for vae in group.members()]
    n_folds = len(prepared)
    return [[members[v * n_folds + f] for v in range(n_views)] for f in range(n_folds)], history


def _networks(
    prepared: Sequence[PreparedFold],
    layouts: Sequence[TargetLayout],
    n_features: int,
    sees_mask: bool,
    settings: TableSettings,
) -> EnsembleGroup:
    """Make one ensemble for all views, or one for each where they ask for different targets."""
    latent_dim = settings.latents(n_features)
    alike = len(set(layouts)) == 1
    blocks = [range(len(layouts))] if alike else [range(i, i + 1) for i in range(len(layouts))]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return EnsembleGroup(
            [
                EnsembleVAE(
                    len(prepared) * len(places),
                    n_features,
                    latent_dim,
                    layouts[places[0]],
                    hidden=settings.hidden,
                    sees_mask=sees_mask,
                    codebook=_codebook(prepared, places) if layouts[places[0]].classes else None,
                )
                for places in blocks
            ]
        )


def _begin_stacked(
    group: EnsembleGroup, prepared: Sequence[PreparedFold], settings: TableSettings
) -> None:
    """Begin every fold of a view with the weights of an earlier model, if there is one."""
    if settings.start is None:
        return
    settings.start.require(_facts(prepared, settings))
    place = 0
    for ensemble in group.parts:
        n_views = ensemble.n_members // len(prepared)
        views = range(place, place + n_views)
        settings.start.fill(ensemble, [view for view in views for _ in prepared])
        place += n_views


def _facts(prepared: Sequence[PreparedFold], settings: TableSettings) -> dict[str, str]:
    return network_facts(prepared[0].encoder, settings.views, settings.model, settings.condition)


def _codebook(prepared: Sequence[PreparedFold], places: Sequence[int]) -> torch.Tensor:
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
    prepared: Sequence[PreparedFold], place: int, layout: TargetLayout
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
    for fold, visible in enumerate(rows):
        weights[torch.from_numpy(visible), fold] = 1.0
    return weights.repeat(1, n_views)


def _unit_mean(weights: torch.Tensor) -> torch.Tensor:
    """Scale each member's weights to mean 1, so that means over rows are means over its rows."""
    return weights / weights.mean(dim=0, keepdim=True)


def _train_alone(
    prepared: Sequence[PreparedFold],
    column: int | None,
    settings: TableSettings,
    tell: Progress,
) -> tuple[list[list[RowNetwork]], History]:
    """Train one network after another; return them fold by fold, view by view."""
    hide = ColumnMask(prepared[0].encoder, sees_mask=False, shown=column)

    def mask(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return hide(x.unsqueeze(1), generator).squeeze(1)

    n_views, networks, histories = len(settings.views), [], []
    jobs = [(one, place) for one in prepared for place in range(n_views)]
    for number, (one, place) in enumerate(jobs):
        rows, own = one.viewed(place), replace(settings, seed=settings.seed + number)
        network = _network(rows[one.fold.train], one.conditions[place], own)
        report = part_of(tell, number, len(jobs))
        if settings.start is not None:
            settings.start.require(_facts(prepared, settings))
            settings.start.fill(network.model, [place])
        histories.append(_fit(network, rows, one.fold, mask, settings, report))
        networks.append(network)
    starts = range(0, len(networks), n_views)
    return [list(networks[start : start + n_views]) for start in starts], _joined(histories)


def _network(rows: Floats32, condition: Condition | None, settings: TableSettings) -> FamilyNetwork:
    """Build a network for rows of training."""
    own = set() if condition is None else {int(j) for j in condition.own}
    features = tuple(j for j in range(rows.shape[1]) if j not in own)
    levels = () if condition is None else condition.levels
    member = settings.member
    description = ModelDescription(
        member.kind,
        (len(features),),
        latent_dim=settings.latents(len(features)),
        hidden=(settings.hidden, settings.hidden),
        prior=member.prior,
        n_conditions=len(levels),
        n_components=min(N_COMPONENTS, len(rows)),
        linear_skip=True,
        activation="silu",
    )
    scale = 1.0 if condition is None else condition.scale_of_levels
    network = FamilyNetwork(description, features, levels, scale, settings.seed)
    prior = network.model.prior
    if isinstance(prior, VampPrior):
        prior.pseudo_inputs.data.copy_(
            torch.from_numpy(rows[: description.n_components][:, list(features)])
        )
    return network


def _fit(
    network: FamilyNetwork,
    rows: Floats32,
    fold: Fold,
    mask: Corruption,
    settings: TableSettings,
    progress: Progress,
) -> History:
    x = torch.from_numpy(rows)
    target = x[:, network.features]
    train, check = torch.from_numpy(fold.train), torch.from_numpy(fold.validation)
    return fit_vae(
        network,
        x[train],
        target=target[train],
        validation=x[check],
        validation_target=target[check],
        config=training_config(len(train), rows.shape[1], settings),
        corruption=mask,
        progress=progress,
    )


def _joined(histories: Sequence[History]) -> History:
    """Average the records of several runs; a run that stopped early is left out from there.

    The best step is that of the first.
    """
    longest = max(histories, key=lambda history: len(history.records))
    records = []
    for place, pattern in enumerate(longest.records):
        there = [h.records[place] for h in histories if len(h.records) > place]
        mean = {k: float(np.mean([r.get(k, nan) for r in there])) for k in pattern}
        records.append({**mean, "step": pattern["step"]})
    stopped = all(history.stopped_early for history in histories)
    return History(records, histories[0].best_step, stopped)
