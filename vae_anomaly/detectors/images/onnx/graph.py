"""Score and calibration as torch modules, for graphs that leave Python.

`ImageScore` and `ConformalCalibration` count in float64 on the processor; these modules say the
same on tensors. A surprise is linear between knots and beyond them, so its graph is read off its
values; only the tail of the calibration is written a second time. Whoever exports a graph compares
it with the detector it came from.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

import torch
from torch import nn

from vae_anomaly.detectors.images.pooling import POOL_SHARES
from vae_anomaly.detectors.images.score import GLOBAL_FROM, SHOWN_FROM, SHOWN_VOTES, ImageScore

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from vae_anomaly.arrays import Floats
    from vae_anomaly.detectors.images.pooling import Surprise
    from vae_anomaly.scoring.conformal import ConformalCalibration


class PiecewiseLinear(nn.Module):
    """A function that is linear between knots and beyond the first and the last.

    Parameters
    ----------
    function : callable
        From ndarray (K,) to ndarray (K,), float64; read at the knots and one unit beyond them.
    knots : ndarray of shape (K,), float64, strictly rising
    """

    knots: Tensor
    heights: Tensor
    slopes: Tensor

    def __init__(self, function: Callable[[Floats], Floats], knots: Floats) -> None:
        super().__init__()
        heights = function(knots)
        outside = function(knots[[0, -1]] + [-1.0, 1.0])
        at, high = torch.from_numpy(knots), torch.from_numpy(heights)
        below, beyond = heights[0] - outside[0], outside[1] - heights[-1]
        between = (high.diff() / at.diff()).tolist()
        self.register_buffer("knots", at)
        self.register_buffer("heights", torch.cat((high[:1], high)))
        self.register_buffer("slopes", high.new_tensor([below, *between, beyond]))

    @classmethod
    def of_surprise(cls, surprise: Surprise) -> PiecewiseLinear:
        """Return the graph of a `Surprise`."""
        return cls(surprise, surprise.knots)

    def forward(self, x: Tensor) -> Tensor:
        """Return the function of values (N,), float64."""
        place = (x[:, None] >= self.knots).sum(1)  # how many knots lie at or below x
        start = torch.cat((self.knots[:1], self.knots))[place]
        return self.heights[place] + self.slopes[place] * (x - start)


class ImageScoreGraph(nn.Module):
    """The raw score of a map, as `ImageScore` finds it.

    Parameters
    ----------
    score : ImageScore
    """

    mean: Tensor
    precision: Tensor

    def __init__(self, score: ImageScore) -> None:
        super().__init__()
        self.pools = nn.ModuleList(map(PiecewiseLinear.of_surprise, score.pooling.surprises))
        self.whole = PiecewiseLinear.of_surprise(score.surprise)
        self.register_buffer("mean", torch.from_numpy(score.distance.mean))
        self.register_buffer("precision", torch.from_numpy(score.distance.precision))

    def forward(self, scored: Tensor, statistics: Tensor, shown: Tensor) -> Tensor:
        """Return the raw score (N,), float64, nats.

        Of scored and shown maps (N, G, G) and statistics (N, S); the shown ones may be the same.
        """
        total = self._beyond(statistics)
        for share, surprise in zip(POOL_SHARES, self.pools, strict=False):
            total = total + surprise(_hottest(scored, share))
        for surprise in self.pools[len(POOL_SHARES) :]:
            said = surprise(_hottest(shown, POOL_SHARES[0]))
            total = total + SHOWN_VOTES * (said - SHOWN_FROM).clamp(min=0.0)
        return total

    def _beyond(self, statistics: Tensor) -> Tensor:
        """Return by how much the whole picture's surprise exceeds what counts, (N,)."""
        centred = statistics.double() - self.mean
        squared = ((centred @ self.precision) * centred).sum(1)
        beyond: Tensor = (self.whole(squared.clamp(min=0.0).sqrt()) - GLOBAL_FROM).clamp(min=0.0)
        return beyond


def _hottest(maps: Tensor, share: float) -> Tensor:
    """Return the mean of the highest cells of each map, (N,), float64."""
    flat = maps.flatten(1)
    return flat.topk(max(1, round(share * flat.shape[1])), 1).values.double().mean(1)


class CalibrationGraph(nn.Module):
    """Anomaly score and p-value of a raw score, as `ConformalCalibration` finds them.

    Parameters
    ----------
    calibration : ConformalCalibration
    """

    reference: Tensor

    def __init__(self, calibration: ConformalCalibration) -> None:
        super().__init__()
        self.tail = calibration.tail
        self.levels = calibration.levels
        self.spread = calibration.spread
        self.inside = PiecewiseLinear(calibration.anomaly_score, self.levels)
        self.register_buffer("reference", torch.from_numpy(calibration.reference))

    def forward(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return anomaly score and p-value, (N,) each, float64, of raw scores (N,)."""
        low, high = float(self.levels[0]), float(self.levels[-1])
        below = torch.log10(1.0 + (low - raw).clamp(min=0.0) / self.spread)
        top = raw.new_full((1,), high)
        beyond = self._log10_survival(top) - self._log10_survival(raw.clamp(min=high))
        score = self.inside(raw.clamp(low, high)) + beyond - below
        at_least = (self.reference >= raw[:, None]).sum(1).double()
        return score, (at_least + 1.0) / (len(self.reference) + 1.0)

    def _log10_survival(self, raw: Tensor) -> Tensor:
        """`ParetoTail.log10_survival` on tensors."""
        excess = (raw - self.tail.threshold).clamp(min=0.0) / self.tail.scale
        if self.tail.shape == 0.0:
            return -excess / log(10.0)
        return -torch.log(1.0 + self.tail.shape * excess) / (self.tail.shape * log(10.0))
