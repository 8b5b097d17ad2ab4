"""Fit the linear level: once without each fold, once on everything.

The residuals that matter, of which scales, repair VAEs and p-values are made, are always those of
images that the level has not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
import torch
from torch import Tensor

from vae_anomaly.arrays import Bools, Ints
from vae_anomaly.detectors.images.networks.bank import LinearLevel
from vae_anomaly.detectors.images.networks.residuals import ResidualScale, energy_map
from vae_anomaly.detectors.images.place.pose import (
    AS_IS,
    MIRRORS,
    POSES,
    Pose,
    augment,
    n_copies,
    pose_scores,
    symmetry_group,
)
from vae_anomaly.progress import Progress, null_progress

_MOST_LATENTS: Final = 120
_ROWS_PER_LATENT: Final = 4


@dataclass(frozen=True)
class OutOfFold:
    """The linear level with what it leaves of images that it has not seen.

    Attributes
    ----------
    level : LinearLevel
        Fitted on all images; its scale is that of the out-of-fold residuals.
    z : Tensor of shape (n, C, G, G)
        Residuals of the images in units of that scale.
    spoiled : Tensor of shape (copies, n, C, G, G)
        The same of their corrupted copies, by the levels that have not seen the images.
    poses : tuple of Pose
        Poses that the level was trained to accept; the identity alone when parts lie one way.
    """

    level: LinearLevel
    z: Tensor
    spoiled: Tensor
    poses: tuple[Pose, ...]


def fit_linear_level(
    maps: Tensor,
    corrupted: Tensor,
    folds: Ints,
    *,
    latent_dim: int = 0,
    pose: str = "auto",
    random_state: int = 0,
    progress: Progress = null_progress,
) -> OutOfFold:
    """Fit the level without each fold and on everything, with the poses that parts have.

    Parameters
    ----------
    maps : Tensor of shape (n, C, G, G)
    corrupted : Tensor of shape (copies, n, C, G, G)
    folds : ndarray of shape (n,)
    latent_dim : int
        0 takes a quarter of the rows, copies included, at most 120.
    pose : {"auto", "fixed", "any"}
        Ask the images; parts always lie as in training; or any quarter turn and mirror image.
        Where the pose matters, deviations from the mean are learned shifted by a cell, too, and
        with "auto" also mirrored.

    Returns
    -------
    OutOfFold
    """
    fits = _Fits(maps, folds, latent_dim, random_state, progress)
    poses = POSES if pose == "any" else AS_IS
    levels = fits.without_each(poses)
    first = ResidualScale.fit(fits.residuals(levels, maps))
    if pose == "auto":
        poses = _found_poses(fits, levels, first)
    if len(poses) == 1:
        fits = replace(fits, weigh=first.spread, varied=AS_IS if pose == "fixed" else MIRRORS)
    levels = fits.without_each(poses)
    level = fits.on(slice(None), poses)
    level.scale = ResidualScale.fit(fits.residuals(levels, maps))
    scale = level.scale
    progress("linear", 1, 1)
    z = scale(fits.residuals(levels, maps))
    spoiled = torch.zeros_like(corrupted)
    for copy, spoiled_maps in enumerate(corrupted):
        spoiled[copy] = scale(fits.residuals(levels, spoiled_maps))
    return OutOfFold(level, z, spoiled, poses)


@dataclass(frozen=True)
class _Fits:
    """Fits of the level to parts of the images.

    ``weigh`` (C, G, G) is the sd that earlier fits left out of fold; deviations from the mean are
    learned in the poses ``varied`` as well. Where parts lie any way round both would be chance.
    """

    maps: Tensor
    folds: Ints
    latent_dim: int
    random_state: int
    progress: Progress
    weigh: Tensor | None = None
    varied: Sequence[Pose] = ()

    def on(self, rows: slice | Bools, poses: Sequence[Pose]) -> LinearLevel:
        """Fit one level to some images and their copies in other poses."""
        chosen = torch.as_tensor(rows) if isinstance(rows, np.ndarray) else rows
        generator = np.random.default_rng([self.random_state, 2])
        x = self.maps[chosen]
        n_rows = len(x) + (n_copies(len(x)) if self.varied or len(poses) > 1 else 0)
        latents = self.latent_dim or max(1, min(_MOST_LATENTS, n_rows // _ROWS_PER_LATENT))
        if len(poses) > 1:
            x = augment(x, poses, generator)
        vary = partial(augment, group=self.varied, generator=generator) if self.varied else None
        return LinearLevel.fit(x, latents, self.weigh, vary)

    def without_each(self, poses: Sequence[Pose]) -> list[LinearLevel]:
        """Fit a level without each fold."""
        names = np.unique(self.folds)
        levels = []
        for done, fold in enumerate(names):
            levels.append(self.on(self.folds != fold, poses))
            self.progress("linear", done + 1, len(names) + 1)
        return levels

    def residuals(self, levels: Sequence[LinearLevel], maps: Tensor) -> Tensor:
        """Return what the level that has not seen an image leaves of its maps (n, C, G, G)."""
        rest = torch.zeros_like(maps)
        for fold, level in zip(np.unique(self.folds), levels, strict=True):
            inside = torch.from_numpy(self.folds == fold)
            rest[inside] = level.residual(maps[inside])
        return rest


def _found_poses(
    fits: _Fits, levels: Sequence[LinearLevel], scale: ResidualScale
) -> tuple[Pose, ...]:
    """Return the group of poses that out-of-fold normals do not mind."""
    rows = []
    for fold, level in zip(np.unique(fits.folds), levels, strict=True):
        inside = torch.from_numpy(fits.folds == fold)

        def heat_of(maps: Tensor, level: LinearLevel = level) -> Tensor:
            return energy_map(scale(level.residual(maps)))

        rows.append(pose_scores(fits.maps[inside], heat_of))
    return symmetry_group(np.concatenate(rows, axis=1))
