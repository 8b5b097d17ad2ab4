"""Fit the image network to good images such that the calibration stays honest.

What has seen what, for a held-out normal ``i`` whose score calibrates the detector:

=====================================  ===========================================================
standardisation, linear VAE            fitted without the fold (whole groups) that holds ``i``
repair VAE and head                    fitted without the part that holds ``i``, stopped on others
whole-image distance                   fitted without the fold of ``i``
pooling, surprise of fine detail       ``i`` is judged among the other held-out normals
fine detail: mean and sd of a cell     fitted without the fold of ``i``
scales per position, map scales        averages over all held-out normals, ``i`` among them: O(1/n)
materials, what is usual of each       learnt from all held-out normals, ``i`` among them: O(1/n)
=====================================  ===========================================================

So the p-values are those of cross-conformal prediction: exact up to the fact that the deployed
linear VAE is fitted on all folds (a little better than the ones that calibrated it) and that
the maps of several repair VAEs are averaged for a new image (a little steadier). Both make new
normals look slightly *more* normal, so the false-alarm rate errs to the low side.

References
----------
Vovk, Cross-conformal predictors, 2015.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from vae_anomaly.arrays import AnyArray, Bools, Floats, Floats32, Ints
from vae_anomaly.detectors.folds import evenly
from vae_anomaly.detectors.images.fine.filters import FineFilters
from vae_anomaly.detectors.images.fine.level import FineFit, FineLevel
from vae_anomaly.detectors.images.fit.linear import OutOfFold, fit_linear_level
from vae_anomaly.detectors.images.fit.maps import Bank, TrainingMaps
from vae_anomaly.detectors.images.fit.self_test import SELF_TEST, self_test
from vae_anomaly.detectors.images.fit.training_set import network_parts, validation_split
from vae_anomaly.detectors.images.networks.bank import (
    RESIDUAL_BOUND,
    BankNetwork,
    LinearLevel,
    NetworkSpec,
    RepairMember,
    combine_maps,
)
from vae_anomaly.detectors.images.networks.repair import RepairVAE
from vae_anomaly.detectors.images.networks.residuals import MapScale
from vae_anomaly.detectors.images.place.placing import Placing
from vae_anomaly.detectors.images.score.pooling import pool_maps_of_images
from vae_anomaly.detectors.images.settings import TrainingWork
from vae_anomaly.detectors.latent_space import MAX_REFERENCE
from vae_anomaly.detectors.warm_start import WarmStart, warmed
from vae_anomaly.devices import device_of
from vae_anomaly.progress import Progress, null_progress, part_of
from vae_anomaly.vae.diagnostics import ACTIVE_VARIANCE
from vae_anomaly.vae.networks import seeded
from vae_anomaly.vae.training import History, fit_vae

Network = TypeVar("Network", bound=nn.Module, covariant=True)


@dataclass(frozen=True)
class Fitted(Generic[Network]):
    """A network, and what its honest calibration needs.

    Attributes
    ----------
    held_out : ndarray of shape (m,)
        Normals that calibrate.
    pooled : ndarray of shape (m, P or P + 1)
        `pool_maps_of_images` of their maps, by networks that have not seen them.
    heatmap : ndarray of shape (m, G, G)
        Their shown maps; of tiles the greatest heat alone, (m, 1, 1).
    statistics : ndarray of shape (n, S)
        Whole-image statistics of all normals.
    fingerprint : dict
        Number and SHA-256 of the images.
    latents : ndarray of shape (at most 2,000, Z), float32, optional
        Posterior means of training images at equal distances.
    unseen : callable, optional
        ``unseen(i)`` is the network for normal i that has not seen it, on the scales of all.
    peaks : ndarray of shape (m, C), optional
        Of their fine detail, by a level that has not seen them.
    material : ndarray of shape (m,), optional
        Which one they show.
    """

    network: Network
    held_out: Ints
    pooled: Floats
    heatmap: Floats32
    statistics: Floats | Floats32
    history: History
    metrics: dict[str, float]
    fingerprint: dict[str, int | str]
    latents: Floats32 | None = None
    unseen: Callable[[int], Network] | None = None
    peaks: Floats | None = None
    material: Ints | None = None


@dataclass(frozen=True)
class BankTask:
    """What is to be trained on the maps of a bank, and how.

    Parameters
    ----------
    spec : NetworkSpec
        ``latent_dim`` 0 lets the number of images decide.
    pose : {"auto", "fixed", "any"}
        As `fit_linear_level`; maps of a user's backbone cannot be turned, whatever it says.
    bank : FilterBank or BackboneBank, optional
        What has made the maps; a fixed bank if left out.
    device : torch.device, optional
        Where the repair VAEs are trained; all else, and the network returned, is on the processor.
    placing : Placing
        That of the images: heat counts inside of its foreground.
    start : WarmStart, optional
        Weights of as many repair VAEs to begin with.
    """

    spec: NetworkSpec
    work: TrainingWork
    random_state: int
    pose: str = "auto"
    bank: Bank | None = None
    device: torch.device | None = None
    placing: Placing = field(default_factory=Placing)
    start: WarmStart | None = None


def fit_bank_network(
    data: TrainingMaps,
    groups: AnyArray,
    folds: Ints,
    task: BankTask,
    progress: Progress = null_progress,
) -> Fitted[BankNetwork]:
    """Fit linear level and repair VAEs, each calibrated on normals that it has not seen.

    Groups and folds are those of the n images, (n,).
    """
    fitted = fit_linear_level(
        data.maps,
        data.corrupted,
        folds,
        latent_dim=task.spec.latent_dim,
        pose="fixed" if task.spec.backbone else task.pose,
        random_state=task.random_state,
        colour=task.spec.sees_chroma,
        decorrelate=task.spec.backbone is None,
        progress=progress,
    )
    network = _linear_network(fitted, task)
    spec, linear_map = network.spec, fitted.level.heat(fitted.z)
    network.linear_scale = MapScale.fit(linear_map)
    spoiled_map = network.linear_scale(fitted.level.heat(fitted.spoiled[0]))
    maps = _Held(network.linear_scale(linear_map), spoiled_map)
    parts = network_parts(groups, spec.n_networks, task.random_state)
    lesson = _Lesson(fitted.z, fitted.spoiled, data.masks, groups)
    history = _add_members(network, lesson, maps, parts, task, progress)
    n = spec.n_networks
    held_out = np.flatnonzero(parts < n) if n else np.arange(len(fitted.z))
    heatmap = maps.combined(spec)[held_out]
    network.heat_scale = MapScale.fit(heatmap)
    heatmap = network.heat_scale(heatmap)
    score_map, spoiled_map = (part[held_out] for part in maps.linear)
    if not spec.has_two_maps:
        score_map, spoiled_map = network.heat_scale(score_map), network.heat_scale(spoiled_map)
    metrics = {
        **validation_terms(history),
        "latent_dim": float(spec.latent_dim),
        "poses": float(len(fitted.poses)),
        SELF_TEST: self_test(score_map, spoiled_map),
        **_linear_units(fitted.level),
    }
    fine = _add_fine(network, data, folds)
    shown, scored = (task.placing.masked(maps.numpy()) for maps in (heatmap, score_map))
    return Fitted(
        network=network.eval(),
        held_out=held_out,
        pooled=pool_maps_of_images(scored, shown if spec.has_two_maps else None),
        heatmap=shown,
        statistics=data.statistics.numpy(),
        history=history,
        metrics=metrics,
        fingerprint=data.fingerprint,
        latents=network.map_latents(data.maps[evenly(len(fitted.z), MAX_REFERENCE)]).numpy(),
        unseen=_Unseen(network, fitted.without, fine.without, folds, parts),
        peaks=fine.peaks_of(held_out),
        material=fine.material_of(held_out),
    )


@dataclass(frozen=True)
class _Unseen:
    """The networks that have not seen an image, on the scales that all of them have."""

    network: BankNetwork
    levels: Mapping[int, LinearLevel]
    fine: Mapping[int, FineLevel]
    folds: Ints
    parts: Ints

    def __call__(self, row: int) -> BankNetwork:
        """Return the linear level without the fold of an image, and the member without its part."""
        whole, n = self.network, self.network.spec.n_networks
        judge = BankNetwork(replace(whole.spec, n_networks=0, latent_dim=1), whole.bank)
        judge.spec, judge.linear = whole.spec, self.levels[int(self.folds[row])]
        judge.linear_scale, judge.heat_scale = whole.linear_scale, whole.heat_scale
        judge.members = nn.ModuleList(whole.members[int(self.parts[row])] for _ in range(min(n, 1)))
        judge.fine = self.fine.get(int(self.folds[row]))
        return judge.eval()


def _add_fine(network: BankNetwork, data: TrainingMaps, folds: Ints) -> FineFit:
    """Fit the level of fine detail, where it was looked for."""
    if data.fine is None:
        return FineFit()
    spec = network.spec
    fine = FineFit.of(FineFilters(spec.image_size, spec.channels), data.fine, folds)
    network.fine = fine.level
    network.spec = replace(spec, n_materials=fine.n_materials)
    return fine


def _linear_network(fitted: OutOfFold, task: BankTask) -> BankNetwork:
    """Return a network that has its linear level, and no repair VAE yet."""
    spec = replace(
        task.spec,
        latent_dim=fitted.level.vae.latent_dim,
        scored="linear" if task.spec.n_networks else "shown",
        decorrelated=fitted.level.decorrelation is not None,
    )
    network = BankNetwork(replace(spec, n_networks=0), task.bank)
    network.spec, network.linear = spec, fitted.level
    return network


def _add_members(
    network: BankNetwork,
    lesson: _Lesson,
    maps: _Held,
    parts: Ints,
    task: BankTask,
    progress: Progress,
) -> History:
    """Train the repair VAEs, each without one part, which then says how hot normals are."""
    history, n = History(), network.spec.n_networks
    for k in range(n):
        report = part_of(progress, k, n)
        member, history = _fit_member(lesson, parts != k, task, k, report)
        maps.judge(member, lesson.z, parts == k, colour=network.spec.sees_chroma)
        network.members.append(member.cpu())
    return history


def _linear_units(level: LinearLevel) -> dict[str, float]:
    """Count the latents whose posterior mean varies over the training images."""
    explained = 1.0 - level.vae.noise_variance / level.vae.variance  # variance of the mean, (Z,)
    active = int((explained > ACTIVE_VARIANCE).sum())
    return {"active_units": float(active), "latents": float(len(explained))}


@dataclass(frozen=True)
class _Lesson:
    """Out-of-fold residuals of images and of their corrupted copies, with masks and groups."""

    z: Tensor
    spoiled: Tensor
    masks: Tensor
    groups: AnyArray

    def pairs(self, rows: Bools, copies: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return inputs, targets and masks: each corrupted copy beside its clean image."""
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

    def judge(self, member: RepairMember, z: Tensor, part: AnyArray, *, colour: bool) -> None:
        """Fill in the part that a member has not seen, and set the member's scales by it."""
        with torch.no_grad():
            repair, head = member.calibrate(z[part].to(device_of(member)), colour=colour)
        self.repair[part], self.head[part] = repair.cpu(), head.cpu()

    def combined(self, spec: NetworkSpec) -> Tensor:
        """Return the joined maps of normals, (n, G, G)."""
        if not spec.n_networks:
            return self.linear[0]
        return combine_maps(self.linear[0], self.repair, self.head, spec)


def _fit_member(
    lesson: _Lesson, is_allowed: Bools, task: BankTask, k: int, progress: Progress
) -> tuple[RepairMember, History]:
    """Train the k-th repair VAE with its head on the images that it may see."""
    random_state = task.random_state + k
    with seeded(random_state):
        vae = RepairVAE(lesson.z.shape[1], lesson.z.shape[2], width=task.work.width)
    if task.start is not None:
        task.start.fill(vae, [k])
    vae.to(device=task.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # faster
    train, stop = validation_split(lesson.groups, is_allowed, random_state)
    x, target, mask = lesson.pairs(train)
    held: tuple[Tensor | None, ...] = (None, None, None)
    if stop.any():
        held = lesson.pairs(stop, copies=1)
    config = task.work.training(int(train.sum()), random_state)
    with torch.enable_grad():
        history = fit_vae(
            vae,
            x,
            target=target,
            extras={"mask": mask},
            validation=held[0],
            validation_target=held[1],
            validation_extras=None if held[2] is None else {"mask": held[2]},
            config=config if task.start is None else warmed(config),
            progress=progress,
        )
    vae.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # as when loaded
    return RepairMember(vae.eval()), history


def validation_terms(history: History) -> dict[str, float]:
    """Return the terms of the weights that were kept, nats per image."""
    records = [record for record in history.records if record["step"] == history.best_step]
    if not records:
        return {}
    named = {name: float(records[0][name]) for name in ("val_nll", "val_kl", "val_elbo")}
    return {name: value for name, value in named.items() if np.isfinite(value)}
