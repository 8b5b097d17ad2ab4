"""From decoded pixels to p-value and heat map as one torch module, which can leave Python.

It strings together the modules that the detector itself scores with; what the detector does in
NumPy (resizing, score, calibration) stands here on tensors, for any size of picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from vae_anomaly.detectors.images.features.filter_bank import luminance
from vae_anomaly.detectors.images.onnx.graph import CalibrationGraph, ImageScoreGraph

if TYPE_CHECKING:
    from vae_anomaly.detectors.images.detector import ImageVAEDetector

OUTPUTS = ("raw_score", "anomaly_score", "p_value", "heatmap")
"""What `ScoringGraph` returns, in this order."""


class Preparation(nn.Module):
    """Bring decoded pictures to the size and channels of a model, as `prepare_image` does.

    Parameters
    ----------
    size : int, pixels
    channels : {1, 3}
        Of the model.
    """

    def __init__(self, size: int, channels: int) -> None:
        super().__init__()
        self.size = size
        self.channels = channels

    def forward(self, pictures: Tensor) -> Tensor:
        """Return (N, channels, size, size), float32 in [0, 1], of uint8 (N, H, W, 1 or 3)."""
        x = pictures.permute(0, 3, 1, 2).to(torch.float32) / 255.0
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


class ScoringGraph(nn.Module):
    """Everything between decoded pixels and the verdict.

    Parameters
    ----------
    detector : ImageVAEDetector
        Fitted, without conditions.
    """

    def __init__(self, detector: ImageVAEDetector) -> None:
        super().__init__()
        spec = detector.network_.spec
        self.prepare = Preparation(spec.image_size, spec.channels)
        self.network = detector.network_
        self.score = ImageScoreGraph(detector.image_score_)
        self.calibration = CalibrationGraph(detector.calibration_)
        self.side = detector.image_size

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Score pictures (N, H, W, 1 or 3), uint8.

        Returns
        -------
        raw_score, anomaly_score, p_value : Tensor of shape (N,), float64
        heatmap : Tensor of shape (N, image_size, image_size), float32
            As `ImageVAEDetector.heatmap`: in sd of held-out normals.
        """
        said = self.network(self.prepare(pictures))
        raw = self.score(said.scored, said.statistics, said.heat)
        size = (self.side, self.side)
        large = functional.interpolate(said.heat[:, None], size, mode="bilinear")
        return (raw, *self.calibration(raw), large[:, 0])
