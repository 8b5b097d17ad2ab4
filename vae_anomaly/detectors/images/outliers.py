"""Training images that are no good parts: found among the held-out normals, left out, and named.

Two looks at what was judged without the image itself, and one at the pixels:

* what the map says of those that calibrate: what stands out there would own the threshold. Each
  pooling is judged among the others with a predictive tail, so that the surprise of a good image is
  exponential however few there are, as the rule takes it to be; with a tail that was fitted to one
  or two images it is far heavier, and of 10 good images one was left out in every third draw;
* how far brightness, contrast, texture and colour of the whole image lie from those of others:
  every image has these, also one that no score was held out for; and the exposure alone, of one or
  two images. Covariances are estimated from
  the other folds, twice without the tenth of the images that lies farthest, so that bad frames do
  not vouch for each other;
* how much of an image is white where the others have almost no white: `OverExposed`.

What the first two have found is left out if the model that is then fitted without it finds it
stranger than all held-out normals: by the sum of what map and whole image say, by its exposure or
by its appearance. No model sees white, so what the third has found needs no such word.
`vae_anomaly.scoring.outliers` says what standing out means, `vae_anomaly.data.images.over_exposed`
what over-exposed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np

from vae_anomaly.arrays import AnyArray, AnyFloats, Bools, Floats, Ints
from vae_anomaly.data.images.over_exposed import (
    ONE_IN,
    over_exposed,
    over_exposed_words,
    white_shares,
)
from vae_anomaly.detectors.images.examination import examine
from vae_anomaly.detectors.images.image_list import ImageList
from vae_anomaly.detectors.images.model import ImageModel
from vae_anomaly.detectors.images.reasons import reasons_of
from vae_anomaly.detectors.images.score.image_score import ImageScore
from vae_anomaly.detectors.images.score.judges import (
    AppearanceDistance,
    Distance,
    ExposureDistance,
)
from vae_anomaly.detectors.images.score.pooling import local_sum
from vae_anomaly.detectors.images.score.surprise import PredictiveSurprise, among_others
from vae_anomaly.scoring.conformal import ConformalCalibration
from vae_anomaly.scoring.outliers import FAR_FROM_OTHERS, HEAVY, LeftOut, standing_out

MAP_TAIL: Final = 0.1
"""Shape of the tail of what maps say: a sum in which the hottest cells of all count more than once
from where they are rare on, and so a little heavier than one surprise."""

_TRIMMED: Final = 0.1  # of the images that covariances do without
_PASSES: Final = 3
_NEAR: Final = 4.0  # squared sd of exposure, of at least 1 %, within which none is odd
_ACCIDENTS: Final = 2  # a third image of the same exposure makes it a kind of light


@dataclass(frozen=True)
class OverExposed:
    """What the pixels of training images say, before any model is asked.

    Parameters
    ----------
    shares : ndarray of shape (n, 2)
        Of white and of nearly white pixels.
    found : ndarray of shape (n,), bool
        Which images are over-exposed.
    """

    shares: Floats
    found: Bools

    @classmethod
    def look(cls, images: ImageList) -> Self:
        """Look at images at their own size, on the scale of their white; not at few of them."""
        n = len(images)
        rows = [white_shares(images.pixels(i)) for i in range(n if n >= ONE_IN else 0)]
        shares = np.array(rows) if rows else np.zeros((n, 2))
        return cls(shares, over_exposed(shares))

    def words(self, row: int) -> str:
        """Say of one image how much of it is white; nothing if it is not over-exposed."""
        if not self.found[row]:
            return ""
        return over_exposed_words(self.shares[row, 0], self.shares[~self.found, 1].max())


def odd_images(
    pooled: AnyFloats,
    held_out: Ints,
    statistics: AnyFloats,
    folds: Ints,
    groups: AnyArray,
    known: Bools,
    most: int,
) -> Ints:
    """Return which of n images stand out from the others, at most ``most``, ascending.

    Parameters
    ----------
    pooled : ndarray of shape (m, P or P + 1)
        From `pool_maps_of_images`, of the images ``held_out``, (m,). Raw scores are ranks up to the
        largest, and no image stands out from ranks.
    statistics : ndarray of shape (n, S)
        Of whole images.
    folds, groups : ndarray of shape (n,)
    known : ndarray of shape (n,), bool
        Which are odd whatever the others are; before all others where there are too many.
    """
    found = known.copy()
    surprises = map_surprises(pooled)
    found[held_out] |= standing_out(surprises, groups[held_out], most, MAP_TAIL)
    exposures = squared_distances(statistics, folds, ExposureDistance)
    few = max(HEAVY, 4.0 / max(1, len(exposures) - 2))  # F law: half of them give the sd of a side
    found |= standing_out(exposures, groups, min(most, _ACCIDENTS), few) & (exposures > _NEAR)
    distances = squared_distances(statistics, folds)
    found |= standing_out(distances, groups, most, HEAVY)
    distances[known] = np.inf
    return np.flatnonzero(found) if found.sum() <= most else _farthest(found, distances, most)


def _farthest(found: Bools, distances: Floats, most: int) -> Ints:
    """Return those of what was found that lie farthest."""
    order = np.argsort(-np.where(found, distances, -1.0), kind="stable")
    return np.sort(order[:most])


def map_surprises(pooled: AnyFloats) -> Floats:
    """Return what poolings of held-out normals' maps (m, P or P + 1) say, each among the others.

    Nats, (m,): a sum of exponentials where the tails are right, however few normals there are.
    """
    values = np.asarray(pooled, np.float64)
    columns = [among_others(PredictiveSurprise, column) for column in values.T]
    return local_sum(np.stack(columns, axis=1))


def squared_distances(
    statistics: AnyFloats, folds: Ints, kind: type[Distance] = AppearanceDistance
) -> Floats:
    """Return how far each image's statistics (n, S) lie from those of the other folds, (n,).

    Squared distances, twice the nats of a Gaussian; a few images that lie far away
    have no part in what is usual.
    """
    values = np.asarray(statistics, np.float64)
    usual, distances = np.ones(len(values), bool), np.zeros(len(values))
    for _ in range(_PASSES):
        for fold in np.unique(folds):
            inside = folds == fold
            known = kind.fit(values[~inside & usual])
            distances[inside] = known(values[inside]) ** 2
        usual = distances <= np.quantile(distances, 1.0 - _TRIMMED)
    return distances


def raw_scores(images: ImageList, model: ImageModel, device: str) -> Floats:
    """Return the raw scores of images, (N,), nats."""
    placed = replace(images, placing=model.placing, shifts={})
    return examine(model, ConformalCalibration.fit([0.0]), placed, device).raw_score


def strange_as_a_whole(images: ImageList, model: ImageModel, device: str) -> Bools:
    """Tell which images' exposure or appearance is stranger than that of all held-out normals."""
    if not isinstance(model.score, ImageScore):
        return np.zeros(len(images), np.bool_)
    placed = replace(images, placing=model.placing, shifts={})
    evidence = examine(model, ConformalCalibration.fit([0.0]), placed, device).evidence
    judges = {name: model.score.judges[name].surprise for name in ("exposure", "appearance")}
    beyond = [
        evidence[name].to_numpy() > surprise(surprise.reference[-1:])
        for name, surprise in judges.items()
    ]
    return np.asarray(np.any(beyond, axis=0))


def described(
    images: ImageList,
    causes: Sequence[str],
    model: ImageModel,
    calibration: ConformalCalibration,
    threshold: float,
    device: str,
) -> tuple[LeftOut, ...]:
    """Say of images that were left out how the model that was fitted without them sees them.

    The reason is its cause, where it has one before any model is asked.
    """
    if not len(images):
        return ()
    placed = replace(images, placing=model.placing, shifts={})
    seen = examine(model, calibration, placed, device)
    reasons = reasons_of(seen, model, threshold)
    return tuple(
        LeftOut(name, float(score), cause or (words[0] if words else FAR_FROM_OTHERS))
        for name, score, cause, words in zip(
            images.ids, seen.anomaly_score, causes, reasons, strict=True
        )
    )
