"""Fit the image network to good pictures such that the calibration stays honest.

What has seen what, for a held-out normal ``i`` whose score calibrates the detector:

=====================================  ===========================================================
standardisation, linear VAE            fitted without the fold (whole groups) that holds ``i``
repair VAE and head                    fitted without the part that holds ``i``, stopped on others
whole-picture distance                 fitted without the fold of ``i``
pooling                                ``i`` is judged among the other held-out normals
scales per position, map scales        averages over all held-out normals, ``i`` among them: O(1/n)
=====================================  ===========================================================

So the p-values are those of cross-conformal prediction: exact up to the fact that the deployed
linear VAE is fitted on all folds (a little better than the ones that calibrated it) and that
the maps of several repair VAEs are averaged for a new picture (a little steadier). Both make new
normals look slightly *more* normal, so the false-alarm rate errs to the low side.

References
----------
Vovk, Cross-conformal predictors, 2015.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor

from vae_anomaly.arrays import AnyArray, Bools, Floats, Floats32, Ints
from vae_anomaly.detectors.images.fit.folds import evenly, network_parts, validation_split
from vae_anomaly.detectors.images.fit.linear import fit_linear_level
from vae_anomaly.detectors.images.fit.maps import TrainingMaps
from vae_anomaly.detectors.images.networks.bank import (
    HEAD_WEIGHT,
    REPAIR_WEIGHT,
    RESIDUAL_BOUND,
    BankNetwork,
    LinearLevel,
    NetworkSpec,
    RepairMember,
    combine_maps,
)
from vae_anomaly.detectors.images.networks.repair import RepairVAE
from vae_anomaly.detectors.images.networks.residuals import MapScale, energy_map
from vae_anomaly.detectors.images.pooling import pool_maps
from vae_anomaly.detectors.images.presets import Preset, training_config
from vae_anomaly.detectors.images.score import pool_pictures
from vae_anomaly.detectors.latent_space import MAX_REFERENCE
from vae_anomaly.devices import device_of
from vae_anomaly.metrics import auroc
from vae_anomaly.progress import Progress, null_progress
from vae_anomaly.vae.diagnostics import ACTIVE_VARIANCE
from vae_anomaly.vae.networks import seeded
from vae_anomaly.vae.training import History, fit_vae

if TYPE_CHECKING:
    from vae_anomaly.detectors.images.features.backbone import BackboneBank
    from vae_anomaly.detectors.images.networks.pixels import PixelNetwork


MIN_PICTURES: Final = 8


@dataclass(frozen=True)
class FittedNetwork:
    """A network with what its honest calibration needs.

    Attributes
    ----------
    network : BankNetwork or PixelNetwork
    held_out : ndarray of shape (m,)
        Normals that calibrate.
    heat : ndarray of shape (m, G, G)
        Their shown maps, by networks that have not seen them.
    scored : ndarray of shape (m, G, G)
        Their maps that become image scores, likewise.
    history : History
    metrics : dict of str to float
    statistics : ndarray of shape (n, S)
        Whole-picture statistics of all normals.
    fingerprint : dict
        Number and SHA-256 of the pictures.
    latents : ndarray of shape (at most 2,000, Z), float32
        Posterior means of training pictures at equal distances.
    """

    network: BankNetwork | PixelNetwork
    held_out: Ints
    heat: Floats32
    scored: Floats32
    history: History
    metrics: dict[str, float]
    statistics: Floats32
    fingerprint: dict[str, Any]
    latents: Floats32

    @property
    def pooled(self) -> Floats:
        """What the image score is made of, (m, P or P + 1); see `pool_pictures`."""
        two = self.network.spec.scored != "shown"
        return pool_pictures(self.scored, self.heat if two else None)


def fit_bank_network(
    data: TrainingMaps,
    groups: AnyArray,
    folds: Ints,
    spec: NetworkSpec,
    preset: Preset,
    random_state: int,
    progress: Progress = null_progress,
    *,
    pose: str = "auto",
    bank: BackboneBank | None = None,
    device: torch.device | None = None,
) -> FittedNetwork:
    """Fit linear level and repair VAEs, each calibrated on normals that it has not seen.

    Parameters
    ----------
    data : TrainingMaps
    groups : ndarray of shape (n,)
    folds : ndarray of shape (n,)
        From `assign_folds`.
    spec : NetworkSpec
        ``latent_dim`` 0 lets the number of pictures decide.
    preset : Preset
    random_state : int
    progress : callable, optional
    pose : {"auto", "fixed", "any"}
        As `fit_linear_level`.
    bank : BackboneBank, optional
        In the place of the fixed bank.
    device : torch.device, optional
        Where the repair VAEs are trained; all else, and the network returned, is on the processor.

    Returns
    -------
    FittedNetwork
    """
    fitted_level = fit_linear_level(
        data.maps,
        data.corrupted,
        folds,
        latent_dim=spec.latent_dim,
        pose=pose,
        random_state=random_state,
        progress=progress,
    )
    level, z, spoiled = fitted_level.level, fitted_level.z, fitted_level.spoiled
    spec = replace(
        spec,
        latent_dim=level.vae.latent_dim,
        repair_weight=REPAIR_WEIGHT,
        head_weight=HEAD_WEIGHT,
        scored="linear" if spec.n_networks else "shown",
    )
    network = BankNetwork(replace(spec, n_networks=0), bank)
    network.spec, network.linear = spec, level
    linear_map = energy_map(z)
    network.linear_scale = MapScale.fit(linear_map)
    maps = _Held(network.linear_scale(linear_map), network.linear_scale(energy_map(spoiled[0])))
    history = History()
    parts = network_parts(groups, spec.n_networks, random_state)
    for member in range(spec.n_networks):
        fitted, history = _fit_member(
            _Lesson(z, spoiled, data.masks, groups),
            parts != member,
            preset,
            random_state + member,
            _numbered(progress, member, spec.n_networks),
            device,
        )
        maps.judge(fitted, z, parts == member)
        network.members.append(fitted.cpu())
    held_out = np.flatnonzero(parts < spec.n_networks) if spec.n_networks else np.arange(len(z))
    heat = maps.combined(spec)[held_out]
    network.heat_scale = MapScale.fit(heat)
    heat = network.heat_scale(heat)
    scored, spoiled_scored = (part[held_out] for part in maps.linear)
    if spec.scored == "shown":
        scored, spoiled_scored = network.heat_scale(scored), network.heat_scale(spoiled_scored)
    metrics = {
        **training_metrics(history),
        "latent_dim": float(spec.latent_dim),
        "poses": float(len(fitted_level.poses)),
    }
    metrics["self_test_auroc"] = self_test(scored, spoiled_scored)
    metrics |= _linear_units(level)
    return FittedNetwork(
        network.eval(),
        held_out,
        heat.numpy(),
        scored.numpy(),
        history,
        metrics,
        data.statistics.numpy(),
        data.fingerprint,
        network.map_latents(data.maps[evenly(len(z), MAX_REFERENCE)]).numpy(),
    )


def _linear_units(level: LinearLevel) -> dict[str, float]:
    """Count the latents whose posterior mean varies over the training pictures."""
    explained = 1.0 - level.vae.noise_variance / level.vae.variance  # variance of the mean, (Z,)
    active = int((explained > ACTIVE_VARIANCE).sum())
    return {"active_units": float(active), "latents": float(len(explained))}


def self_test(scored: Tensor, spoiled: Tensor) -> float:
    """Return how well held-out normals are told from their copies with synthetic defects.

    Returns
    -------
    float in [0, 1]
        AUROC of the mean of the hottest 1 % of the map; 0.5 = this model cannot see defects.
    """
    scores = np.concatenate([pool_maps(h.numpy(), (0.01,))[:, 0] for h in (scored, spoiled)])
    return auroc(np.repeat([0, 1], len(scored)), scores)


@dataclass(frozen=True)
class _Lesson:
    """Out-of-fold residuals of pictures and of their corrupted copies, with masks and groups."""

    z: Tensor
    spoiled: Tensor
    masks: Tensor
    groups: AnyArray

    def pairs(self, rows: Bools, copies: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return inputs, targets and masks: each corrupted copy beside its clean picture."""
        keep, bound = torch.from_numpy(rows), RESIDUAL_BOUND
        clean = self.z[keep].clamp(-bound, bound)
        broken = self.spoiled[:copies, keep].clamp(-bound, bound)
        spots = self.masks[:copies, keep].flatten(0, 1)
        return (
            torch.cat((clean.repeat(len(broken), 1, 1, 1), broken.flatten(0, 1))),
            clean.repeat(2 * len(broken), 1, 1, 1),
            torch.cat((torch.zeros_like(spots), spots)),
        )


class _Held:
    """Maps of held-out normals, filled part by part; the linear ones of corrupted copies too."""

    def __init__(self, linear: Tensor, spoiled_linear: Tensor) -> None:
        self.linear = (linear, spoiled_linear)
        self.repair, self.head = torch.zeros_like(linear), torch.zeros_like(linear)
        self.has_members = False

    def judge(self, member: RepairMember, z: Tensor, part: AnyArray) -> None:
        """Fill in the part that a member has not seen, and set the member's scales by it."""
        with torch.no_grad():
            repair, head = member.calibrate(z[part].to(device_of(member)))
        self.repair[part], self.head[part] = repair.cpu(), head.cpu()
        self.has_members = True

    def combined(self, spec: NetworkSpec) -> Tensor:
        """Return the joined maps of normals, (n, G, G)."""
        if not self.has_members:
            return self.linear[0]
        return combine_maps(self.linear[0], self.repair, self.head, spec)


def _fit_member(
    lesson: _Lesson,
    seen: Bools,
    preset: Preset,
    random_state: int,
    progress: Progress,
    device: torch.device | None = None,
) -> tuple[RepairMember, History]:
    """Train one repair VAE with its head on the pictures that it may see."""
    with seeded(random_state):
        vae = RepairVAE(lesson.z.shape[1], lesson.z.shape[2], width=preset.width)
    vae.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # faster
    train, stop = validation_split(lesson.groups, seen, random_state)
    x, target, mask = lesson.pairs(train)
    config = training_config(preset, int(train.sum()), random_state)
    held: dict[str, Any] = {}
    if stop.any():
        inputs, wanted, spots = lesson.pairs(stop, copies=1)
        held = {
            "validation": inputs,
            "validation_target": wanted,
            "validation_extras": {"mask": spots},
        }
    with torch.enable_grad():
        history = fit_vae(
            vae, x, target=target, extras={"mask": mask}, config=config, progress=progress, **held
        )
    vae.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # as when loaded
    return RepairMember(vae.eval()), history


def _numbered(progress: Progress, member: int, n_networks: int) -> Progress:
    """Report the steps of all networks as one stage."""

    def report(stage: str, done: int, total: int) -> None:
        progress(stage, member * total + done, n_networks * total)

    return report


def training_metrics(history: History) -> dict[str, float]:
    """Return the terms of the weights that were kept, nats per picture."""
    kept = [record for record in history.records if record["step"] == history.best_step]
    if not kept:
        return {}
    named = {name: float(kept[0][name]) for name in ("val_nll", "val_kl", "val_elbo")}
    return {name: value for name, value in named.items() if np.isfinite(value)}
