"""Fit the linear level: once without each fold, once on everything.

The residuals that matter, of which scales, repair VAEs and p-values are made, are always those of
images that the level has not seen.

`poses` asks the good images which way round parts lie. Where it does not matter, turned copies of
the maps join the training, which otherwise would have to see every pose. Of parts that lie any way
round, but always at the same place, there are many sharp images to learn: they take more latents;
copies of others are shifted by up to a cell as well.

Where the pose matters, the *mean* must not be turned, but how parts vary around it may be: what
differs on the left of one part can differ on the right of the next. So there the copies are of
deviations from the mean, mirrored and shifted. A part that lies the wrong way round still differs
from the mean.

Unless parts lie any way round, what is left is decorrelated before it becomes heat
(`Decorrelation`). Where a turned part meets the wrong mean everywhere, rare mixtures of channels
are no news: there it loses up to five points of AUROC.
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
from vae_anomaly.detectors.images.fit.poses import (
    AS_IS,
    MIRRORS,
    POSES,
    Pose,
    augment_maps,
    lie_any_way,
    lie_still,
    n_copies,
    pose_scores,
    shift_scores,
    symmetry_group,
)
from vae_anomaly.detectors.images.networks.bank import LinearLevel
from vae_anomaly.detectors.images.networks.residuals import (
    Decorrelation,
    ResidualScale,
    energy_map,
)
from vae_anomaly.progress import Progress, null_progress

_MOST_LATENTS: Final = 120

_MOST_OF_TURNED: Final = 240  # latents of parts that lie any way round, at the same place

_ROWS_PER_LATENT: Final = 4

_Question = Callable[[Tensor, Callable[[Tensor], Tensor]], Floats]


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
    decorrelate: bool = True,
    progress: Progress = null_progress,
) -> OutOfFold:
    """Fit the level without each fold and on everything, with the poses that parts have.

    Parameters
    ----------
    maps : Tensor of shape (n, C, G, G)
    corrupted : Tensor of shape (copies, n, C, G, G)
    latent_dim : int
        0 takes a quarter of the rows, copies included, at most 120; or 240 where parts lie any way
        round at the same place.
    pose : {"auto", "fixed", "any"}
        Ask the images; parts always lie as in training; or any quarter turn and mirror image.
        Where the pose matters, deviations from the mean are learned shifted by a cell, too, and
        with "auto" also mirrored.
    colour : bool
        Whether the last maps are chroma, which `ResidualScale` treats with more caution.
    decorrelate : bool
        Whether channels may be decorrelated, where parts do not lie any way round.
    """
    fits = _Fits(maps, folds, latent_dim, random_state, progress)
    levels = fits.without_each(AS_IS)
    first = ResidualScale.fit(fits.residuals(levels, maps), colour=colour)
    poses = {"any": POSES, "fixed": AS_IS}.get(pose) or symmetry_group(
        fits.ask(pose_scores, levels, first)
    )
    if len(poses) == 1:
        fits = replace(fits, weigh=first.spread, varied=AS_IS if pose == "fixed" else MIRRORS)
    elif lie_any_way(poses) and lie_still(fits.ask(shift_scores, levels, first)):
        fits = replace(fits, reach=0, most_latents=_MOST_OF_TURNED)
    levels = fits.without_each(poses)
    level = fits.on(slice(None), poses)
    rest = fits.residuals(levels, maps)
    level.scale = scale = ResidualScale.fit(rest, colour=colour)
    progress("linear", 1, 1)
    z = scale(rest)
    if decorrelate and not lie_any_way(poses):
        level.decorrelation = Decorrelation.fit(z)
    spoiled = torch.zeros_like(corrupted)
    for copy, spoiled_maps in enumerate(corrupted):
        spoiled[copy] = scale(fits.residuals(levels, spoiled_maps))
    without = dict(zip(np.unique(folds).tolist(), levels, strict=True))
    for unseen in levels:
        unseen.scale, unseen.decorrelation = scale, level.decorrelation
    return OutOfFold(level, z, spoiled, poses, without)


@dataclass(frozen=True)
class _Fits:
    """Fits of the level to parts of the images.

    ``weigh`` (C, G, G) is the sd that earlier fits left out of fold; deviations from the mean are
    learned in the poses ``varied`` as well. Where parts lie any way round both would be chance.
    Copies are shifted by up to ``reach`` cells.
    """

    maps: Tensor
    folds: Ints
    latent_dim: int
    random_state: int
    progress: Progress
    weigh: Tensor | None = None
    varied: Sequence[Pose] = ()
    reach: int = 1
    most_latents: int = _MOST_LATENTS

    def on(self, rows: slice | Bools, poses: Sequence[Pose]) -> LinearLevel:
        """Fit one level to some images and their copies in other poses."""
        chosen = torch.as_tensor(rows) if isinstance(rows, np.ndarray) else rows
        generator = np.random.default_rng([self.random_state, 2])
        x = self.maps[chosen]
        n_rows = len(x) + (n_copies(len(x)) if self.varied or len(poses) > 1 else 0)
        latents = self.latent_dim or max(1, min(self.most_latents, n_rows // _ROWS_PER_LATENT))
        copied = partial(augment_maps, generator=generator, reach=self.reach)
        if len(poses) > 1:
            x = copied(x, poses)
        vary = partial(copied, group=self.varied) if self.varied else None
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

    def ask(
        self, question: _Question, levels: Sequence[LinearLevel], scale: ResidualScale
    ) -> Floats:
        """Put a question to the images, with the level that has not seen them, (K, n)."""
        answers = []
        for fold, level in zip(np.unique(self.folds), levels, strict=True):
            inside = torch.from_numpy(self.folds == fold)

            def heat_of(maps: Tensor, level: LinearLevel = level) -> Tensor:
                return energy_map(scale(level.residual(maps)))

            answers.append(question(self.maps[inside], heat_of))
        return np.concatenate(answers, axis=1)
