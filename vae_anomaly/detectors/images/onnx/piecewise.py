"""A function that is linear between knots, read off its values, as a torch module."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from vae_anomaly.arrays import Floats
from vae_anomaly.detectors.images.score.surprise import PoolSurprise, PredictiveSurprise


class PiecewiseLinear(nn.Module):
    """A function that is linear between strictly rising knots (K,), and beyond them.

    It is read, (K,) to (K,) in float64, at the knots and one unit beyond the first and the last.
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
    def of_surprise(cls, surprise: PoolSurprise) -> PiecewiseLinear:
        """Return the graph of a `PoolSurprise`."""
        return cls(surprise, surprise.knots)

    def forward(self, x: Tensor) -> Tensor:
        """Return the function of values (N,), float64."""
        place = (x[:, None] >= self.knots).sum(1)  # how many knots lie at or below x
        start = torch.cat((self.knots[:1], self.knots))[place]
        return self.heights[place] + self.slopes[place] * (x - start)


class ManyPiecewiseLinear(nn.Module):
    """A `PiecewiseLinear` for each of C columns, in one pass: fewer knots are filled up."""

    knots: Tensor
    starts: Tensor
    heights: Tensor
    slopes: Tensor

    def __init__(self, functions: Iterable[PiecewiseLinear]) -> None:
        super().__init__()
        parts = list(functions)
        far = [torch.cat((part.knots[:1], part.knots)) for part in parts]
        self.register_buffer("knots", _filled([part.knots for part in parts], torch.inf))
        self.register_buffer("starts", _filled(far, 0.0))
        self.register_buffer("heights", _filled([part.heights for part in parts], 0.0))
        self.register_buffer("slopes", _filled([part.slopes for part in parts], 0.0))

    def forward(self, x: Tensor) -> Tensor:
        """Return the functions of values (N, C), float64."""
        place = (x[:, :, None] >= self.knots).sum(2)  # (N, C)
        column = torch.arange(x.shape[1], device=x.device)
        at = (column, place)
        return self.heights[at] + self.slopes[at] * (x - self.starts[at])


def _filled(rows: list[Tensor], value: float) -> Tensor:
    """Return rows of several lengths as one matrix."""
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)


class PredictiveGraph(nn.Module):
    """A `PredictiveSurprise`, or a `RankSurprise`: linear between knots, then a logarithm."""

    def __init__(self, surprise: PredictiveSurprise) -> None:
        super().__init__()
        self.inside = PiecewiseLinear(surprise.below_tail, surprise.knots)
        self.start, self.scale, self.count = surprise.start, surprise.scale, surprise.count

    def forward(self, x: Tensor) -> Tensor:
        """Return the surprise of values (N,), float64, nats."""
        beyond = (x - self.start).clamp(min=0.0) / self.scale
        total: Tensor = self.inside(x) + self.count * torch.log(1.0 + beyond)
        return total
