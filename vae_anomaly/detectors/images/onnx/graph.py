"""From decoded pixels to p-value and heatmap as one torch module, which can leave Python.

It strings together the networks that the detector itself scores with; what the detector does in
NumPy (resizing, score, calibration) stands here on tensors, for any size of image. A surprise is
linear between knots and beyond them, so its graph is read off its values; only the tail of the
calibration is written a second time. Whoever exports a graph compares it with the detector it came
from.
"""

from __future__ import annotations

from math import log
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from vae_anomaly.detectors.images.features.octaves import CELL, luminance
from vae_anomaly.detectors.images.fine_places import DRAWN_FROM
from vae_anomaly.detectors.images.networks.bank import BankNetwork
from vae_anomaly.detectors.images.networks.pixels import PixelNetwork
from vae_anomaly.detectors.images.onnx.piecewise import PiecewiseLinear
from vae_anomaly.detectors.images.onnx.score_graph import score_graph
from vae_anomaly.detectors.images.score.earlier import EarlierScore
from vae_anomaly.detectors.images.score.image_score import ImageScore
from vae_anomaly.scoring.conformal import ConformalCalibration

OUTPUTS: Final = ("raw_score", "anomaly_score", "p_value", "heatmap")
"""What `ScoringGraph` returns, in this order."""


class Preparation(nn.Module):
    """Bring decoded images to size (pixels) and channels of a model, as `prepare_image` does."""

    def __init__(self, size: int, channels: int) -> None:
        super().__init__()
        self.size = size
        self.channels = channels

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, channels, size, size), float32 in [0, 1], of uint8 (N, H, W, 1 or 3)."""
        x = images.permute(0, 3, 1, 2).to(torch.float32) / 255.0
        x = (resizing_matrix(x.shape[2], self.size) @ x).clamp(0.0, 1.0)
        x = (x @ resizing_matrix(x.shape[3], self.size).T).clamp(0.0, 1.0)
        if self.channels == x.shape[1]:
            return x
        return x.repeat(1, 3, 1, 1) if self.channels == 3 else luminance(x).clamp(0.0, 1.0)


def resizing_matrix(n: int, size: int) -> Tensor:
    """Return what turns a line of n pixels into one of ``size``, (size, n), float32.

    Exact areas where the line shrinks, linear interpolation between centres where it grows: the
    weights of `vae_anomaly.data.images.resize`. Written without a question about n, which a graph
    knows only when it runs.
    """
    old = torch.arange(n, dtype=torch.float64)
    count = (old[-1] + 1.0) / size  # old pixels in a new one
    new = torch.arange(size, dtype=torch.float64)[:, None]
    right, left = torch.minimum(old + 1.0, (new + 1.0) * count), torch.maximum(old, new * count)
    area = (right - left).clamp(min=0.0) / count
    centre = torch.minimum(((new + 0.5) * count - 0.5).clamp(min=0.0), old[-1])
    line = (1.0 - (old - centre).abs()).clamp(min=0.0)
    return torch.where(count > 1.0, area, line).to(torch.float32)


class CalibrationGraph(nn.Module):
    """Anomaly score and p-value of a raw score, as `ConformalCalibration` finds them."""

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
        """`ScoreTail.log10_survival` on tensors."""
        excess = (raw - self.tail.threshold).clamp(min=0.0) / self.tail.scale
        if self.tail.shape == 0.0:
            return -excess / log(10.0)
        return -torch.log(1.0 + self.tail.shape * excess) / (self.tail.shape * log(10.0))


class ScoringGraph(nn.Module):
    """Everything between decoded pixels and the verdict, for a network without conditions.

    The heatmaps that come out have the ``side``, in pixels. Fine detail is drawn into them from a
    ``heat_level`` on.
    """

    def __init__(
        self,
        network: BankNetwork | PixelNetwork,
        score: ImageScore | EarlierScore,
        calibration: ConformalCalibration,
        side: int,
        heat_level: float,
    ) -> None:
        super().__init__()
        self.heat_level = heat_level
        self.prepare = Preparation(network.spec.image_size, network.spec.channels)
        self.network = network
        self.score = score_graph(score)
        self.calibration = CalibrationGraph(calibration)
        self.side = side

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Score images (N, H, W, 1 or 3), uint8.

        Returned are `OUTPUTS`: raw score, anomaly score and p-value (N,), float64, and the heatmap
        (N, side, side), float32, as `ImageVAEDetector.heatmap`, in sd of held-out normals.
        """
        output = self.network(self.prepare(images))
        fine, material = None, output.material
        if self.score.fine is not None:
            fine = self.score.fine(output.fine_peaks, material)
        raw = self.score(output.score_map, output.statistics, output.heatmap, fine, material)
        heatmap = output.heatmap
        if fine is not None:
            heatmap = self._drawn(heatmap, fine, output.fine_cells)
        size = (self.side, self.side)
        large = functional.interpolate(heatmap[:, None], size, mode="bilinear")
        return (raw, *self.calibration(raw), large[:, 0])

    def _cells_of_map(self, cells: Tensor, grid: int) -> Tensor:
        """Return the cells of a map that those of fine detail lie in; a backbone's are larger."""
        fine = self.prepare.size // CELL
        larger = fine // grid
        return cells // fine // larger * grid + cells % fine // larger

    def _drawn(self, heatmap: Tensor, fine: Tensor, cells: Tensor) -> Tensor:
        """Return maps (N, G, G) with fine detail drawn into its cells (N, C), as `drawn_heat`."""
        beyond = torch.log(fine.clamp(min=DRAWN_FROM) / DRAWN_FROM)
        heat = (self.heat_level * (1.1 + beyond)).to(heatmap.dtype)
        flat, cells = heatmap.flatten(1), self._cells_of_map(cells, heatmap.shape[2])
        here = cells[:, :, None] == torch.arange(flat.shape[1], device=cells.device)
        shown = here & (fine >= DRAWN_FROM)[:, :, None]
        lowest = flat.min().expand_as(heat)[:, :, None]
        drawn = torch.where(shown, heat[:, :, None], lowest).amax(1)
        return torch.maximum(flat, drawn).view_as(heatmap)
