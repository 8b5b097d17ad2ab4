"""Train members of the family that cannot be stacked: one network a fold and view, in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import nan

import numpy as np
import torch

from vae_anomaly.arrays import Floats32
from vae_anomaly.detectors.tabular.encode.condition import Condition
from vae_anomaly.detectors.tabular.encode.table import TableEncoder
from vae_anomaly.detectors.tabular.fit.folds import Fold
from vae_anomaly.detectors.tabular.fit.training import ColumnMask, training_config
from vae_anomaly.detectors.tabular.network import FamilyNetwork
from vae_anomaly.detectors.tabular.settings import TableSettings
from vae_anomaly.progress import Progress, null_progress, part_of
from vae_anomaly.vae.family import ModelDescription
from vae_anomaly.vae.priors import VampPrior
from vae_anomaly.vae.training import History, fit_vae
from vae_anomaly.vae.training.loop import Corruption

Job = tuple[Floats32, Fold, Condition | None]
N_COMPONENTS = 20


def train_alone(
    encoder: TableEncoder,
    jobs: Sequence[Job],
    column: int | None,
    settings: TableSettings,
    progress: Progress | None = None,
) -> tuple[list[FamilyNetwork], History]:
    """Train one network for each fold and view.

    Parameters
    ----------
    encoder : TableEncoder
        For the layout.
    jobs : sequence of (rows, fold, condition)
        Every row as the view shows it, (N, D) float32; which of them to use; and the condition.
    column : int or None
        Column of the condition, which is never hidden.

    Returns
    -------
    networks : list of FamilyNetwork
        In evaluation mode.
    history : History
        Means over networks; ``best_step`` is that of the first.
    """
    tell, networks, histories = progress or null_progress, [], []
    hide = ColumnMask(encoder, sees_mask=False, shown=column)

    def mask(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return hide(x.unsqueeze(1), generator).squeeze(1)

    for place, (rows, fold, condition) in enumerate(jobs):
        network = _network(
            rows[fold.train], condition, replace(settings, seed=settings.seed + place)
        )
        report = part_of(tell, place, len(jobs))
        histories.append(_fit(network, rows, fold, mask, settings, report))
        networks.append(network)
    return networks, _joined(histories)


def _network(rows: Floats32, condition: Condition | None, settings: TableSettings) -> FamilyNetwork:
    """Build a network for rows of training."""
    own = set() if condition is None else {int(j) for j in condition.own}
    asked = tuple(j for j in range(rows.shape[1]) if j not in own)
    told = () if condition is None else condition.levels
    member = settings.member
    description = ModelDescription(
        member.kind,
        (len(asked),),
        latent_dim=settings.latents(len(asked)),
        hidden=(settings.hidden, settings.hidden),
        prior=member.prior,
        n_conditions=len(told),
        n_components=min(N_COMPONENTS, len(rows)),
        linear_skip=True,
        activation="silu",
    )
    scale = 1.0 if condition is None else condition.told_scale
    network = FamilyNetwork(description, asked, told, scale, settings.seed)
    prior = network.model.prior
    if isinstance(prior, VampPrior):
        prior.pseudo_inputs.data.copy_(
            torch.from_numpy(rows[: description.n_components][:, list(asked)])
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
    target = x[:, network.asked]
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
    """Average the records of several runs; a run that stopped early is left out from there."""
    longest = max(histories, key=lambda history: len(history.records))
    records = []
    for place, pattern in enumerate(longest.records):
        there = [h.records[place] for h in histories if len(h.records) > place]
        mean = {k: float(np.mean([r.get(k, nan) for r in there])) for k in pattern}
        records.append({**mean, "step": pattern["step"]})
    stopped = all(history.stopped_early for history in histories)
    return History(records, histories[0].best_step, stopped)
