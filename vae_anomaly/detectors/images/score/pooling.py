"""Four poolings of a map, and the surprise of each.

A scratch lifts a few cells, wear lifts them all: no single pooling serves both. `TailPooling` (C4)
pools the map four ways and turns each into the surprise ``-log p`` that held-out normals give it.
Nothing is tuned, and no real defect is needed. Where the shown map is another one, the hottest of
its cells are pooled as well: in the tail the defect heads can only add.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vae_anomaly.arrays import AnyFloats, Floats
from vae_anomaly.detectors.images.score.surprise import PoolSurprise, among_others

POOL_SHARES: Final = (0.002, 0.01, 0.10, 1.0)
"""Shares of the highest cells whose mean is taken."""

SHOWN_FROM: Final = 2.3
"""Surprise, in nats, from which the hottest cells of the shown map count: p = 10 %."""

SHOWN_VOTES: Final = 2.0
"""Vote of the shown map's hottest cells beyond that; each pooling of the score map has one."""


def pool_maps(maps: AnyFloats, shares: tuple[float, ...] = POOL_SHARES) -> Floats:
    """Return the mean of the highest cells of maps (N, H, W), for several shares, (N, shares).

    Higher = more anomalous; at least one cell is taken.
    """
    flat = np.sort(np.asarray(maps, np.float64).reshape(len(maps), -1), axis=1)[:, ::-1]
    counts = [max(1, round(share * flat.shape[1])) for share in shares]
    return np.stack([flat[:, :count].mean(axis=1) for count in counts], axis=1)


def pool_maps_of_images(score_maps: AnyFloats, shown: AnyFloats | None = None) -> Floats:
    """Pool maps (N, G, G) as the score asks for, (N, P or P + 1).

    `pool_maps` of the score maps; then the hottest cells of the shown ones, if given.
    """
    pools = pool_maps(score_maps)
    return pools if shown is None else np.hstack([pools, pool_maps(shown, POOL_SHARES[:1])])


class TailPooling:
    """Sum of the surprises of four poolings of a map (C4), one `PoolSurprise` for each.

    ``pooled`` (n, P) are the `pool_maps` of held-out normals.
    """

    def __init__(self, pooled: AnyFloats) -> None:
        self.pooled = np.asarray(pooled, np.float64)
        self.surprises = [PoolSurprise(column) for column in self.pooled.T]

    def __call__(self, pooled: AnyFloats) -> Floats:
        """Return the surprise of each pooling, (N, P), nats.

        What it was not fitted to, the shown map of a network that scores by it, is left out.
        """
        columns = [s(column) for s, column in zip(self.surprises, pooled.T, strict=False)]
        return np.stack(columns, axis=1)

    def leave_one_out(self) -> Floats:
        """Return the surprises of the held-out normals, each among the others, (n, P)."""
        columns = [among_others(PoolSurprise, column) for column in self.pooled.T]
        return np.stack(columns, axis=1)


def local_sum(surprises: Floats) -> Floats:
    """Add the surprises of all poolings of an image, (N, P or P + 1), to one number, (N,), nats.

    What the linear level may be blind to speaks only when it has something to say: below
    `SHOWN_FROM` it would add the noise of good images.
    """
    pools, shown = np.split(surprises, [len(POOL_SHARES)], axis=1)
    beyond = np.maximum(shown - SHOWN_FROM, 0.0).sum(axis=1)
    total: Floats = pools.sum(axis=1) + SHOWN_VOTES * beyond
    return total
