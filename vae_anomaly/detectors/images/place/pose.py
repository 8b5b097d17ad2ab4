"""Does it matter which way round a part lies? Asked of the good images alone.

Held-out normals are scored as they are and turned or mirrored. Where the turned ones score no
higher, the set has that symmetry: parts lie any way round, or the texture has no direction. Then
turned and slightly shifted copies of the maps join the training of the linear level, which
otherwise would have to see every pose. No image is read again: turning the maps equals turning
the image.

Where the pose matters, the *mean* must not be turned, but how parts vary around it may be: what
differs on the left of one part can differ on the right of the next. So there the copies are of
deviations from the mean, mirrored and shifted. A part that lies the wrong way round still differs
from the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from vae_anomaly.arrays import Floats
from vae_anomaly.detectors.images.features.filter_bank import dihedral_maps
from vae_anomaly.detectors.images.score import pool_maps
from vae_anomaly.metrics import auroc

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


def pose_scores(maps: Tensor, heat_of: Callable[[Tensor], Tensor]) -> Floats:
    """Score held-out normals in all eight poses.

    Parameters
    ----------
    maps : Tensor of shape (n, C, G, G)
        Raw maps of the bank.
    heat_of : callable
        Maps to heat (n, G, G), by a model that has not seen these images.

    Returns
    -------
    ndarray of shape (8, n), float64
        Mean of the hottest 1 %, one row per entry of `POSES`, the identity first.
    """
    turned = (dihedral_maps(maps, turns, mirror=mirror) for turns, mirror in POSES)
    return np.stack([pool_maps(heat_of(part).numpy(), (0.01,))[:, 0] for part in turned])


def symmetry_group(scores: Floats) -> tuple[Pose, ...]:
    """Return the largest group of poses that held-out normals do not mind.

    Parameters
    ----------
    scores : ndarray of shape (8, n)
        From `pose_scores`.

    Returns
    -------
    tuple of Pose
        The identity alone where every other pose is noticed. A pose is noticed when the AUROC of
        turned against unturned exceeds 0.5 by 0.1, or by two standard errors where that is more.
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


def augment(maps: Tensor, group: Sequence[Pose], generator: np.random.Generator) -> Tensor:
    """Return maps followed by copies in random poses of a group, shifted by up to one cell.

    Parameters
    ----------
    maps : Tensor of shape (n, C, G, G)
        Of images, or their deviations from the mean.

    Returns
    -------
    Tensor of shape (n + copies, C, G, G)
        Followed by `n_copies`.
    """
    rounds = [generator.permutation(len(maps)) for _ in range(_COPIES)]
    copies = []
    for row in np.concatenate(rounds)[: n_copies(len(maps))]:
        turned = _turned(maps[row : row + 1], group[int(generator.integers(len(group)))])
        copies.append(torch.roll(turned, tuple(generator.integers(-1, 2, 2).tolist()), (2, 3)))
    return torch.cat((maps, *copies))


def n_copies(n: int) -> int:
    """Return how many copies `augment` adds to n images: four of each, but 1,000 at most."""
    return min(_COPIES * n, _MOST_COPIES)


def _turned(maps: Tensor, pose: Pose) -> Tensor:
    """Return maps in another pose; as they are they may be those of any bank."""
    turns, mirror = pose
    return maps if pose == AS_IS[0] else dihedral_maps(maps, turns, mirror=mirror)
