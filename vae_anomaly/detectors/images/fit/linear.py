"""Fit the linear level: once without each fold, once on everything.

The residuals that matter, of which scales, repair VAEs and p-values are made, are always those of
images that the level has not seen.

Does it matter which way round a part lies? The good images alone are asked: held-out normals are
scored as they are and turned or mirrored. Where the turned ones score no higher, the set has that
symmetry: parts lie any way round, or the texture has no direction. Then turned and slightly
shifted copies of the maps join the training, which otherwise would have to see every pose. No image
is read again: turning the maps equals turning the image.

Where the pose matters, the *mean* must not be turned, but how parts vary around it may be: what
differs on the left of one part can differ on the right of the next. So there the copies are of
deviations from the mean, mirrored and shifted. A part that lies the wrong way round still differs
from the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
import torch
from torch import Tensor

from vae_anomaly.arrays import Bools, Floats, Ints
from vae_anomaly.detectors.images.features.filter_bank import dihedral_maps
from vae_anomaly.detectors.images.networks.bank import LinearLevel
from vae_anomaly.detectors.images.networks.residuals import ResidualScale, energy_map
from vae_anomaly.detectors.images.score.pooling import pool_maps
from vae_anomaly.metrics import auroc
from vae_anomaly.progress import Progress, null_progress

_MOST_LATENTS: Final = 120

_ROWS_PER_LATENT: Final = 4

Pose = tuple[int, bool]

"""Quarter turns counter-clockwise, after a left-right mirror or not."""

POSES: Final[tuple[Pose, ...]] = tuple((turns, m) for m in (False, True) for turns in range(4))

AS_IS: Final[tuple[Pose, ...]] = ((0, False),)

MIRRORS: Final[tuple[Pose, ...]] = ((0, False), (2, False), (0, True), (2, True))

"""Mirror images, and both at once: the poses that keep the sides of a rectangle."""

_TOLERANCE: Final = 0.10

_SIGMAS: Final = 2.0

_COPIES: Final = 4

_MOST_COPIES: Final = 1000

# every subgroup of the square's symmetries that is worth having, the largest first
_GROUPS: Final[tuple[frozenset[Pose], ...]] = tuple(
    frozenset(group)
    for group in (
        POSES,
        [(0, False), (1, False), (2, False), (3, False)],
        [(0, False), (2, False), (0, True), (2, True)],
        [(0, False), (2, False), (1, True), (3, True)],
        [(0, False), (2, False)],
        [(0, False), (0, True)],
        [(0, False), (2, True)],
        [(0, False), (1, True)],
        [(0, False), (3, True)],
        [(0, False)],
    )
)


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
    without : mapping of int to LinearLevel
        For each fold the level that has not seen it, with the scale of all.
    """

    level: LinearLevel
    z: Tensor
    spoiled: Tensor
    poses: tuple[Pose, ...]
    without: Mapping[int, LinearLevel]


def fit_linear_level(
    maps: Tensor,
    corrupted: Tensor,
    folds: Ints,
    *,
    latent_dim: int = 0,
    pose: str = "auto",
    random_state: int = 0,
    colour: bool = False,
    progress: Progress = null_progress,
) -> OutOfFold:
    """Fit the level without each fold and on everything, with the poses that parts have.

    Parameters
    ----------
    maps : Tensor of shape (n, C, G, G)
    corrupted : Tensor of shape (copies, n, C, G, G)
    latent_dim : int
        0 takes a quarter of the rows, copies included, at most 120.
    pose : {"auto", "fixed", "any"}
        Ask the images; parts always lie as in training; or any quarter turn and mirror image.
        Where the pose matters, deviations from the mean are learned shifted by a cell, too, and
        with "auto" also mirrored.
    colour : bool
        Whether the last maps are chroma, which `ResidualScale` treats with more caution.
    """
    fits = _Fits(maps, folds, latent_dim, random_state, progress)
    poses = POSES if pose == "any" else AS_IS
    levels = fits.without_each(poses)
    first = ResidualScale.fit(fits.residuals(levels, maps), colour=colour)
    if pose == "auto":
        poses = _found_poses(fits, levels, first)
    if len(poses) == 1:
        fits = replace(fits, weigh=first.spread, varied=AS_IS if pose == "fixed" else MIRRORS)
    levels = fits.without_each(poses)
    level = fits.on(slice(None), poses)
    level.scale = ResidualScale.fit(fits.residuals(levels, maps), colour=colour)
    scale = level.scale
    progress("linear", 1, 1)
    z = scale(fits.residuals(levels, maps))
    spoiled = torch.zeros_like(corrupted)
    for copy, spoiled_maps in enumerate(corrupted):
        spoiled[copy] = scale(fits.residuals(levels, spoiled_maps))
    without = dict(zip(np.unique(folds).tolist(), levels, strict=True))
    for unseen in levels:
        unseen.scale = scale
    return OutOfFold(level, z, spoiled, poses, without)


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
            x = augment_maps(x, poses, generator)
        vary = (
            partial(augment_maps, group=self.varied, generator=generator) if self.varied else None
        )
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


def pose_scores(maps: Tensor, heat_of: Callable[[Tensor], Tensor]) -> Floats:
    """Score raw maps (n, C, G, G) of held-out normals in all eight poses.

    ``heat_of`` turns maps to heat (n, G, G), by a model that has not seen these images. Returned is
    the mean of the hottest 1 %, (8, n), one row per entry of `POSES`, the identity first.
    """
    turned = (dihedral_maps(maps, turns, mirror=mirror) for turns, mirror in POSES)
    return np.stack([pool_maps(heat_of(part).numpy(), (0.01,))[:, 0] for part in turned])


def symmetry_group(scores: Floats) -> tuple[Pose, ...]:
    """Return the largest group of poses that held-out normals do not mind, by their `pose_scores`.

    A pose is noticed when the AUROC of turned against unturned exceeds 0.5 by 0.1, or by two
    standard errors where that is more; the identity alone is left where every other one is.
    """
    n = scores.shape[1]
    margin = max(_TOLERANCE, _SIGMAS * np.sqrt((2 * n + 1) / (12.0 * n**2)))
    labels = np.repeat([0, 1], n)
    fine = {
        pose
        for pose, row in zip(POSES, scores, strict=True)
        if auroc(labels, np.concatenate([scores[0], row])) < 0.5 + margin
    }
    return tuple(sorted(next(group for group in _GROUPS if group <= fine | {(0, False)})))


def augment_maps(maps: Tensor, group: Sequence[Pose], generator: np.random.Generator) -> Tensor:
    """Return maps followed by `n_copies` in random poses of a group, shifted by up to one cell.

    Maps (n, C, G, G) are those of images, or their deviations from the mean.
    """
    rounds = [generator.permutation(len(maps)) for _ in range(_COPIES)]
    copies = []
    for row in np.concatenate(rounds)[: n_copies(len(maps))]:
        turned = _turned(maps[row : row + 1], group[int(generator.integers(len(group)))])
        copies.append(torch.roll(turned, tuple(generator.integers(-1, 2, 2).tolist()), (2, 3)))
    return torch.cat((maps, *copies))


def n_copies(n: int) -> int:
    """Return how many copies `augment_maps` adds to n images: four of each, but 1,000 at most."""
    return min(_COPIES * n, _MOST_COPIES)


def _turned(maps: Tensor, pose: Pose) -> Tensor:
    """Return maps in another pose; as they are they may be those of any bank."""
    turns, mirror = pose
    return maps if pose == AS_IS[0] else dihedral_maps(maps, turns, mirror=mirror)
