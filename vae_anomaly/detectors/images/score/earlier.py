"""The score of models that were saved before the whole image could flag alone.

::

    raw score = sum over poolings of the map + max(0, -log p of exposure, contrast, colour - 4.6)

in nats. A blank frame has a cool map, which its exposure, though certain, did not always outweigh.
The sum knows no bound, so it still serves to find training images that stand out from all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from vae_anomaly.arrays import AnyArray, AnyFloats, AnyInts, Bools, Floats
from vae_anomaly.detectors.images.features.whole_image import N_FURTHER, N_LAYOUT
from vae_anomaly.detectors.images.score.evidence import GLOBAL_FROM, PoolEvidence
from vae_anomaly.detectors.images.score.image_score import ImageScore
from vae_anomaly.detectors.images.score.judges import (
    GlobalDistance,
    has_layout,
    out_of_fold_distances,
)
from vae_anomaly.detectors.images.score.pooling import TailPooling
from vae_anomaly.detectors.images.score.surprise import PoolSurprise, among_others

_MANY: Final = 1000


@dataclass(frozen=True)
class EarlierEvidence:
    """The parts of the raw score; ``whole`` (N,) is the surprise of the whole image, nats."""

    pools: PoolEvidence
    whole: Floats

    @property
    def raw_score(self) -> Floats:
        """Sum of the parts, (N,), nats; the whole image counts from `GLOBAL_FROM` on."""
        return self.pools.total + np.maximum(self.whole - GLOBAL_FROM, 0.0)

    @property
    def judged(self) -> dict[str, Floats]:
        """The one judge of the whole image, by name."""
        return {"whole_image": self.whole}

    @property
    def whole_leads(self) -> Bools:
        """Whether the whole image says more than the map, (N,)."""
        return np.asarray(self.whole - GLOBAL_FROM > self.pools.pools.sum(axis=1))

    @property
    def is_whole_alone(self) -> Bools:
        """Whether the whole image has made the raw score, (N,): never, parts are added up."""
        return np.zeros(len(self.whole), np.bool_)

    @property
    def is_whole_notable(self) -> Bools:
        """Whether the whole image counts, (N,)."""
        return np.asarray(self.whole >= GLOBAL_FROM)

    def columns(self) -> dict[str, Floats]:
        """Return the parts by name, for a table."""
        return {**self.pools.columns(), **self.judged}


class EarlierScore:
    """Poolings of a map, and one distance of the first statistics."""

    def __init__(
        self, pooling: TailPooling, distance: GlobalDistance, surprise: PoolSurprise
    ) -> None:
        self.pooling = pooling
        self.distance = distance
        self.surprise = surprise

    @classmethod
    def fit(
        cls, pooled: AnyFloats, statistics: AnyFloats, folds: AnyInts, held_out: AnyInts
    ) -> tuple[EarlierScore, Floats]:
        """Learn from normals, and return the raw scores (m,) of those that are held out.

        All is as `ImageScore.fit` has it; each held-out normal is judged among the others.
        """
        values = np.asarray(statistics, np.float64)
        first = values[:, : -N_FURTHER - (N_LAYOUT if has_layout(values) else 0)]
        distances = out_of_fold_distances(GlobalDistance, first, folds)[held_out]
        pooling, surprise = TailPooling(pooled), PoolSurprise(distances)
        whole = among_others(PoolSurprise, distances)
        evidence = EarlierEvidence(PoolEvidence.of(pooling.leave_one_out()), whole)
        return cls(pooling, GlobalDistance.fit(first), surprise), evidence.raw_score

    def __call__(
        self, pooled: AnyFloats, statistics: AnyFloats, *_unknown: AnyArray | None
    ) -> EarlierEvidence:
        """Judge maps that `pool_maps_of_images` pooled, and statistics (N, S).

        It knows nothing of what else `ImageScore` is told: peaks of fine detail, materials.
        """
        whole = self.surprise(self.distance(statistics))
        return EarlierEvidence(PoolEvidence.of(self.pooling(pooled)), whole)

    def words(self, statistics: AnyFloats, judged: Mapping[str, Floats]) -> list[str]:
        """Say how rare the whole image is, for each of N images that were judged."""
        return [
            f"brightness, contrast or colour of the whole image is such in fewer than 1 in "
            f"{min(max(1, round(share)), _MANY):,} good images"
            for share in np.exp(np.minimum(judged["whole_image"], 20.0)).tolist()
        ]

    @property
    def usual_light(self) -> tuple[float, float]:
        """Mean and sd of log brightness of normals."""
        brightness, contrast = self.distance.mean[:2].tolist()
        return brightness, contrast

    def state(self) -> dict[str, Floats]:
        """Return all that `from_state` needs, as arrays."""
        return {
            "pooled": self.pooling.pooled,
            "global_mean": self.distance.mean,
            "global_precision": self.distance.precision,
            "global_reference": self.surprise.reference,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, AnyArray]) -> EarlierScore:
        """Make the score that `state` described."""
        return cls(
            TailPooling(state["pooled"]),
            GlobalDistance(state["global_mean"], state["global_precision"]),
            PoolSurprise(state["global_reference"]),
        )


def score_from_state(state: Mapping[str, AnyArray]) -> ImageScore | EarlierScore:
    """Make the score that was saved, by this version or an earlier one."""
    kind = EarlierScore if "global_mean" in state else ImageScore
    return kind.from_state(state)
