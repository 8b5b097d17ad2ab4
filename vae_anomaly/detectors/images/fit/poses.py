"""Which way round parts lie, asked of good images alone, and copies of maps in other poses.

Does it matter which way round a part lies? Held-out normals are scored as they are and turned or
mirrored. Where the turned ones score no higher, the set has that symmetry: parts lie any way round,
or the texture has no direction. Does it matter where? The same is asked of normals that are shifted
by a cell. No image is read again: turning the maps equals turning the image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from vae_anomaly.arrays import Floats
from vae_anomaly.detectors.images.features.filter_bank import dihedral_maps
from vae_anomaly.detectors.images.score.pooling import pool_maps
from vae_anomaly.metrics import auroc

Pose = tuple[int, bool]
"""Quarter turns counter-clockwise, after a left-right mirror or not."""

POSES: Final[tuple[Pose, ...]] = tuple((turns, m) for m in (False, True) for turns in range(4))

AS_IS: Final[tuple[Pose, ...]] = ((0, False),)

MIRRORS: Final[tuple[Pose, ...]] = ((0, False), (2, False), (0, True), (2, True))
"""Mirror images, and both at once: the poses that keep the sides of a rectangle."""

_TOLERANCE: Final = 0.10
_SIGMAS: Final = 2.0
_STILL: Final = 0.72
_EDGE: Final = 2  # cells at the border that a shift of one, going round, reaches and blurs
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


def lie_any_way(poses: Sequence[Pose]) -> bool:
    """Tell whether parts lie any way round: a quarter turn, or a mirror image along a diagonal."""
    return any(turns % 2 for turns, _ in poses)


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


def shift_scores(maps: Tensor, heat_of: Callable[[Tensor], Tensor]) -> Floats:
    """Score maps as `pose_scores` does, as they are and shifted by a cell to each side, (5, n).

    What goes round at the border is left out.
    """

    def inside_of(shifted: Tensor) -> Floats:
        heat = heat_of(shifted)[:, _EDGE:-_EDGE, _EDGE:-_EDGE]
        return pool_maps(heat.numpy(), (0.01,))[:, 0]

    shifts = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
    return np.stack([inside_of(torch.roll(maps, shift, (2, 3))) for shift in shifts])


def lie_still(scores: Floats) -> bool:
    """Tell by the `shift_scores` of held-out normals whether parts always lie at the same place.

    The AUROC of shifted against unshifted is at least 0.72, on average over the four sides. It was
    .58 to .66 of parts that were moved by up to 5 % of the side, and .77 to .86 of centred ones.
    """
    labels = np.repeat([0, 1], scores.shape[1])
    noticed = [auroc(labels, np.concatenate([scores[0], row])) for row in scores[1:]]
    return float(np.mean(noticed)) >= _STILL


def augment_maps(
    maps: Tensor, group: Sequence[Pose], generator: np.random.Generator, *, reach: int = 1
) -> Tensor:
    """Return maps followed by `n_copies` in random poses of a group, shifted by up to ``reach``.

    Maps (n, C, G, G) are those of images, or their deviations from the mean; the reach is in cells.
    """
    rounds = [generator.permutation(len(maps)) for _ in range(_COPIES)]
    rows = np.concatenate(rounds)[: n_copies(len(maps))]
    alike: dict[tuple[int, int, int], list[int]] = {}  # copies in one pose, with one shift
    for copy in range(len(rows)):
        pose = int(generator.integers(len(group)))
        down, across = generator.integers(-reach, reach + 1, 2).tolist()
        alike.setdefault((pose, down, across), []).append(copy)
    copies = maps.new_empty(len(rows), *maps.shape[1:])
    for (pose, *shift), some in alike.items():
        turned = _turned(maps[rows[some]], group[pose])
        copies[some] = torch.roll(turned, shift, (2, 3))
    return torch.cat((maps, copies))


def n_copies(n: int) -> int:
    """Return how many copies `augment_maps` adds to n images: four of each, but 1,000 at most."""
    return min(_COPIES * n, _MOST_COPIES)


def _turned(maps: Tensor, pose: Pose) -> Tensor:
    """Return maps in another pose; as they are they may be those of any bank."""
    turns, mirror = pose
    return maps if pose == AS_IS[0] else dihedral_maps(maps, turns, mirror=mirror)
