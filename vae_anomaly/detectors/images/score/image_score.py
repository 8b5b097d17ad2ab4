"""Judge heatmaps and statistics against held-out normals.

::

    raw score = max(S(sum over poolings of the map + fine detail) + log 0.85,
                    S(exposure)   + log 0.05,
                    S(appearance) + log 0.05,
                    S(layout)     + log 0.05)

in nats, where S is the surprise, -log p, among held-out normals. This is the weighted Bonferroni
rule: the smallest p-value over its share of the false alarms. The map has nearly all of them, so
what it finds it finds as before; a blank frame lies so far from good images that a twentieth is
more than enough, and flags alone, however cool its map is. Below p = 5 % the whole image is silent:
there it would only disturb the order that the map gives.

The raw score is calibrated on the same held-out normals. Each S is one rising function for them and
for new images, so a new normal exceeds the k-th largest raw score at most as often as it exceeds
the k-th largest of one of the four parts. That bound is four times the promise; how near the rate
is to the promise itself rests on the tails, which say how much farther out than all normals a part
must be before its small share counts. `PredictiveSurprise` says so with few normals as well
(``benchmarks/dead_camera.py``). Surprises of single poolings are left-one-out: there a held-out
normal counts against itself four times, and the sum would lean to one side.

References
----------
Genovese, Roeder and Wasserman, False discovery control with p-value weighting, 2006.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vae_anomaly.arrays import AnyArray, AnyFloats, AnyInts, Floats
from vae_anomaly.detectors.images.score.by_material import ByMaterial
from vae_anomaly.detectors.images.score.evidence import ImageEvidence, PoolEvidence
from vae_anomaly.detectors.images.score.fine_voice import FineEvidence, FineVoice
from vae_anomaly.detectors.images.score.judges import (
    JUDGES,
    Distance,
    has_layout,
    out_of_fold_distances,
)
from vae_anomaly.detectors.images.score.pooling import TailPooling, local_sum
from vae_anomaly.detectors.images.score.surprise import PredictiveSurprise, RankSurprise
from vae_anomaly.detectors.images.score.words import whole_image_words
from vae_anomaly.state import named, under


@dataclass(frozen=True)
class Judge:
    """A distance, and how surprising it is among the distances of held-out normals."""

    distance: Distance
    surprise: PredictiveSurprise

    @classmethod
    def among(cls, distance: Distance, distances: AnyFloats) -> Judge:
        """Make the judge of a distance, with ``distances`` (m,) of held-out normals."""
        return cls(distance, PredictiveSurprise(distances, distance.least_excess))

    def __call__(self, statistics: AnyFloats) -> Floats:
        """Return the surprise of statistics (N, S), nats, (N,)."""
        return self.surprise(self.distance(statistics))


class ImageScore:
    """Turn poolings of maps and whole-image statistics into the raw score.

    The pooling is that of `pool_maps_of_images`, ``surprise`` that of the sum of its parts and of
    what ``fine`` adds, and ``judges`` are those of `JUDGES`, without the layout for conditional
    models.
    """

    def __init__(
        self,
        pooling: TailPooling,
        surprise: RankSurprise,
        judges: Mapping[str, Judge],
        fine: FineVoice | None = None,
        by_material: ByMaterial | None = None,
    ) -> None:
        self.pooling = pooling
        self.surprise = surprise
        self.judges = dict(judges)
        self.fine = fine
        self.by_material = by_material

    @classmethod
    def fit(
        cls,
        pooled: AnyFloats,
        statistics: AnyFloats,
        folds: AnyInts,
        held_out: AnyInts,
        peaks: AnyFloats | None = None,
        material: AnyInts | None = None,
    ) -> tuple[ImageScore, Floats]:
        """Learn from normals, and return the raw scores of those that are held out.

        Parameters
        ----------
        pooled : ndarray of shape (m, P or P + 1)
            From `pool_maps_of_images`, of maps of the held-out normals by networks that have not
            seen them.
        statistics : ndarray of shape (n, S)
            Of all normals.
        folds : ndarray of shape (n,)
            Fold of each normal; its distance is measured from the other folds.
        held_out : ndarray of shape (m,)
            Which of the n normals the maps belong to.
        peaks : ndarray of shape (m, C), optional
            Of the fine detail of the held-out normals, by a level that has not seen them.
        material : ndarray of shape (m,), optional
            Which one each of them shows; with one alone, or none, all are judged alike.

        Returns
        -------
        score : ImageScore
        raw : ndarray of shape (m,), float64, nats
            Of the held-out normals.
        """
        statistics = np.asarray(statistics, np.float64)
        by_material = ByMaterial.fit(pooled, peaks, material)
        pooled, peaks = _of_one_material(by_material, pooled, peaks, material)
        pooling = TailPooling(pooled)
        among_others = pooling.leave_one_out()
        fine = None if peaks is None else FineVoice(peaks)
        said = None if fine is None else fine.of_normals
        surprise = RankSurprise(_local(among_others, said))
        judges, judged = {}, {}
        for name, kind in JUDGES.items():
            if name == "layout" and not has_layout(statistics):
                continue
            distances = out_of_fold_distances(kind, statistics, folds)[held_out]
            judges[name] = Judge.among(kind.fit(statistics), distances)
            judged[name] = judges[name].surprise(distances)
        score = cls(pooling, surprise, judges, fine, by_material)
        return score, score._evidence(among_others, judged, said).raw_score

    def __call__(
        self,
        pooled: AnyFloats,
        statistics: AnyFloats,
        peaks: AnyFloats | None = None,
        material: AnyInts | None = None,
    ) -> ImageEvidence:
        """Judge maps that `pool_maps_of_images` pooled, (N, P or P + 1), and statistics (N, S).

        Peaks of fine detail (N, C) and materials (N,) are wanted where normals had them.
        """
        pooled, peaks = _of_one_material(self.by_material, pooled, peaks, material)
        judged = {name: judge(statistics) for name, judge in self.judges.items()}
        said = None if self.fine is None or peaks is None else self.fine(peaks)
        return self._evidence(self.pooling(pooled), judged, said)

    def words(self, statistics: AnyFloats, judged: Mapping[str, Floats]) -> list[str]:
        """Say how the whole image differs, for each of N images that were judged."""
        usual = self.judges["appearance"].distance.state()["mean"]
        unlike = self.judges["layout"].distance(statistics)
        return whole_image_words(np.asarray(statistics, np.float64), usual, judged, unlike)

    @property
    def usual_light(self) -> tuple[float, float]:
        """Mean and sd of log brightness of normals."""
        brightness, contrast = self.judges["appearance"].distance.state()["mean"][:2].tolist()
        return brightness, contrast

    def state(self) -> dict[str, Floats]:
        """Return all that `from_state` needs, as arrays."""
        judges = {
            name: {**judge.distance.state(), "reference": judge.surprise.reference}
            for name, judge in self.judges.items()
        }
        own = {"pooled": self.pooling.pooled, "local_reference": self.surprise.reference}
        fine = {} if self.fine is None else {"fine_peaks": self.fine.peaks}
        by_material = {} if self.by_material is None else self.by_material.state()
        return {**own, **fine, **by_material, **named(judges)}

    @classmethod
    def from_state(cls, state: Mapping[str, AnyArray]) -> ImageScore:
        """Make the score that `state` described."""
        judges = {}
        for name, kind in JUDGES.items():
            own = under(name, state)
            if own:
                judges[name] = Judge.among(kind.from_state(own), own["reference"])
        fine = FineVoice(state["fine_peaks"]) if "fine_peaks" in state else None
        surprise = RankSurprise(state["local_reference"])
        by_material = ByMaterial.from_state(state)
        return cls(TailPooling(state["pooled"]), surprise, judges, fine, by_material)

    def _evidence(
        self, surprises: Floats, judged: Mapping[str, Floats], fine: FineEvidence | None
    ) -> ImageEvidence:
        local = self.surprise(_local(surprises, fine))
        return ImageEvidence(PoolEvidence.of(surprises), local, judged, fine)


def _of_one_material(
    by_material: ByMaterial | None,
    pooled: AnyFloats,
    peaks: AnyFloats | None,
    material: AnyInts | None,
) -> tuple[AnyFloats, AnyFloats | None]:
    """Return poolings and peaks as if all images were of one material."""
    if by_material is None or peaks is None or material is None:
        return pooled, peaks
    return by_material(pooled, peaks, material)


def _local(surprises: Floats, fine: FineEvidence | None) -> Floats:
    """Return what map and fine detail say together, (N,), nats."""
    total = local_sum(surprises)
    return total if fine is None else total + fine.vote
