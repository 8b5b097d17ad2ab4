"""The raw score on tensors, as `score` finds it in NumPy."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor, nn

from vae_anomaly.detectors.images.features.whole_image import N_LAYOUT
from vae_anomaly.detectors.images.onnx.piecewise import (
    ManyPiecewiseLinear,
    PiecewiseLinear,
    PredictiveGraph,
)
from vae_anomaly.detectors.images.score.by_material import MaterialScale
from vae_anomaly.detectors.images.score.earlier import EarlierScore
from vae_anomaly.detectors.images.score.evidence import (
    GLOBAL_FROM,
    JUDGE_SHARE,
    LOCAL_SHARE,
    WHOLE_FALL,
    WHOLE_FROM,
)
from vae_anomaly.detectors.images.score.fine_voice import (
    FINE_FROM,
    FINE_KNEE,
    FINE_VOTES,
    FineVoice,
)
from vae_anomaly.detectors.images.score.image_score import ImageScore
from vae_anomaly.detectors.images.score.judges import (
    LEAST_LAYOUT,
    MOST_ALIKE,
    Distance,
    ExposureDistance,
    GlobalDistance,
    LayoutDistance,
)
from vae_anomaly.detectors.images.score.pooling import (
    POOL_SHARES,
    SHOWN_FROM,
    SHOWN_VOTES,
    TailPooling,
)


class MaterialGraph(nn.Module):
    """`MaterialScale` on tensors; without one, all images are of one material."""

    centre: Tensor
    spread: Tensor

    def __init__(self, scale: MaterialScale | None) -> None:
        super().__init__()
        self.is_known = scale is not None
        if scale is not None:
            self.register_buffer("centre", torch.from_numpy(scale.centre))
            self.register_buffer("spread", torch.from_numpy(scale.spread))

    def forward(self, values: Tensor, material: Tensor | None) -> Tensor:
        """Return columns (N, P), float64, of images of a material (N,), as those of any."""
        if not self.is_known or material is None:
            return values
        return (values - self.centre[material]) / self.spread[material]


class PoolingGraph(nn.Module):
    """The sum of the surprises of all poolings, as `local_sum` of `TailPooling`."""

    def __init__(self, pooling: TailPooling, scale: MaterialScale | None = None) -> None:
        super().__init__()
        self.scale = MaterialGraph(scale)
        self.pools = nn.ModuleList(map(PiecewiseLinear.of_surprise, pooling.surprises))

    def forward(self, score_map: Tensor, heatmap: Tensor, material: Tensor | None = None) -> Tensor:
        """Return the sum (N,), float64, nats, of score maps and shown maps (N, G, G)."""
        maps = [(score_map, share) for share in POOL_SHARES] + [(heatmap, POOL_SHARES[0])]
        hottest = [_hottest(*pool) for pool in maps[: len(self.pools)]]
        columns = self.scale(torch.stack(hottest, 1), material).unbind(1)
        said = [surprise(column) for surprise, column in zip(self.pools, columns, strict=True)]
        total = torch.stack(said[: len(POOL_SHARES)]).sum(0)
        for shown in said[len(POOL_SHARES) :]:
            total = total + SHOWN_VOTES * (shown - SHOWN_FROM).clamp(min=0.0)
        return total


class FineGraph(nn.Module):
    """What each channel of fine detail would say alone, as `FineVoice`."""

    def __init__(self, voice: FineVoice, scale: MaterialScale | None = None) -> None:
        super().__init__()
        self.scale = MaterialGraph(scale)
        self.channels = ManyPiecewiseLinear(map(PiecewiseLinear.of_surprise, voice.channels))
        self.widths = [part.stop - part.start for part in voice.parts.values()]
        groups = [voice.groups[name] for name in voice.parts]
        self.groups = nn.ModuleList(map(PiecewiseLinear.of_surprise, groups))
        self.total = PiecewiseLinear.of_surprise(voice.total)

    def forward(self, peaks: Tensor, material: Tensor | None = None) -> Tensor:
        """Return the surprise of the peaks of channels (N, C), float64, nats, (N, C)."""
        single = self.channels(self.scale(peaks.double(), material))
        parts = zip(self.groups, torch.split(single, self.widths, 1), strict=True)
        grouped = [group(part.reshape(-1)).view_as(part) for group, part in parts]
        of_groups = torch.cat(grouped, 1)
        alone: Tensor = self.total(of_groups.reshape(-1)).view_as(of_groups)
        return alone


class ExposureGraph(nn.Module):
    """`ExposureDistance` on tensors."""

    def __init__(self, distance: ExposureDistance) -> None:
        super().__init__()
        self.median, self.below, self.above = distance.usual.tolist()

    def forward(self, statistics: Tensor) -> Tensor:
        """Return the distance of statistics (N, S), float64, (N,)."""
        change = statistics[:, 0] - self.median
        return torch.maximum(-change / self.below, change / self.above)


class GlobalGraph(nn.Module):
    """`GlobalDistance` on tensors."""

    mean: Tensor
    precision: Tensor

    def __init__(self, distance: GlobalDistance) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(distance.mean))
        self.register_buffer("precision", torch.from_numpy(distance.precision))

    def forward(self, statistics: Tensor) -> Tensor:
        """Return the distance of statistics (N, S or more), float64, (N,)."""
        centred = statistics[:, : len(self.mean)] - self.mean
        squared = ((centred @ self.precision) * centred).sum(1)
        return squared.clamp(min=0.0).sqrt()


class LayoutGraph(nn.Module):
    """`LayoutDistance` on tensors."""

    unit: Tensor

    def __init__(self, distance: LayoutDistance) -> None:
        super().__init__()
        self.register_buffer("unit", torch.from_numpy(distance.unit))

    def forward(self, statistics: Tensor) -> Tensor:
        """Return the distance of statistics (N, S), float64, (N,)."""
        layout = statistics[:, -N_LAYOUT:]
        length = (layout.square().sum(1) + LEAST_LAYOUT).sqrt()
        alike = ((layout @ self.unit) / length).clamp(-MOST_ALIKE, MOST_ALIKE)
        return 0.5 * torch.log((1.0 - alike) / (1.0 + alike))  # -atanh


def distance_graph(distance: Distance) -> nn.Module:
    """Return the graph of a distance."""
    if isinstance(distance, ExposureDistance):
        return ExposureGraph(distance)
    if isinstance(distance, LayoutDistance):
        return LayoutGraph(distance)
    assert isinstance(distance, GlobalDistance)  # noqa: S101 - there are three
    return GlobalGraph(distance)


class ImageScoreGraph(nn.Module):
    """The raw score of a map and statistics, as `ImageScore` finds it."""

    def __init__(self, score: ImageScore) -> None:
        super().__init__()
        scales = score.by_material
        pools, peaks = (None, None) if scales is None else (scales.pools, scales.peaks)
        self.pooling = PoolingGraph(score.pooling, pools)
        self.surprise = PredictiveGraph(score.surprise)
        self.fine = None if score.fine is None else FineGraph(score.fine, peaks)
        judges = score.judges.values()
        self.distances = nn.ModuleList(distance_graph(judge.distance) for judge in judges)
        self.surprises = nn.ModuleList(PredictiveGraph(judge.surprise) for judge in judges)

    def forward(
        self,
        score_map: Tensor,
        statistics: Tensor,
        heatmap: Tensor,
        fine: Tensor | None = None,
        material: Tensor | None = None,
    ) -> Tensor:
        """Return the raw score (N,), float64, nats.

        Of score maps and shown maps (N, G, G), which may be the same, statistics (N, S) and, where
        it is looked for, what `FineGraph` says of fine detail, (N, C), and the material (N,).
        """
        total = self.pooling(score_map, heatmap, material)
        if fine is not None:
            beyond = (fine.amax(1) - FINE_FROM).clamp(min=0.0)
            total = total + FINE_VOTES * FINE_KNEE * torch.log1p(beyond / FINE_KNEE)
        local = self.surprise(total) + log(LOCAL_SHARE)
        pairs = zip(self.distances, self.surprises, strict=True)
        judged = [surprise(distance(statistics.double())) for distance, surprise in pairs]
        whole = torch.stack(judged).amax(0) + log(JUDGE_SHARE)
        whole = whole - (WHOLE_FALL - 1.0) * (WHOLE_FROM - whole).clamp(min=0.0)
        return torch.maximum(local, whole)


class EarlierScoreGraph(nn.Module):
    """The raw score of a map and statistics, as `EarlierScore` finds it."""

    def __init__(self, score: EarlierScore) -> None:
        super().__init__()
        self.pooling = PoolingGraph(score.pooling)
        self.distance = GlobalGraph(score.distance)
        self.whole = PiecewiseLinear.of_surprise(score.surprise)
        self.fine = None

    def forward(
        self, score_map: Tensor, statistics: Tensor, heatmap: Tensor, *_unknown: Tensor | None
    ) -> Tensor:
        """Return the raw score (N,), float64, nats, as `ImageScoreGraph`, of its first three."""
        whole = self.whole(self.distance(statistics.double()))
        beyond = (whole - GLOBAL_FROM).clamp(min=0.0)
        total: Tensor = self.pooling(score_map, heatmap) + beyond
        return total


def score_graph(score: ImageScore | EarlierScore) -> ImageScoreGraph | EarlierScoreGraph:
    """Return the graph of a score."""
    if isinstance(score, EarlierScore):
        return EarlierScoreGraph(score)
    return ImageScoreGraph(score)


def _hottest(maps: Tensor, share: float) -> Tensor:
    """Return the mean of the highest cells of each map, (N,), float64."""
    flat = maps.flatten(1)
    return flat.topk(max(1, round(share * flat.shape[1])), 1).values.double().mean(1)
