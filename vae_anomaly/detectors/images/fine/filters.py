"""Signed extremes below the cell: the one strong spot of a few pixels that a mean hides.

The bank's energies are means over cells of 8 x 8 pixels. A hole of six pixels in woven cloth is
there little beside the threads around it; the strongest single response in the cell is not. So
each filter keeps, of every cell, its largest response and its largest negative one. Spots are those
of the bank's own filters, see `features.octaves`; lines are filters of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from vae_anomaly.arrays import Bools
from vae_anomaly.detectors.images.features.octaves import (
    CELL,
    FoldedFilters,
    Octaves,
    of_four,
)
from vae_anomaly.detectors.images.features.smoothing import blur
from vae_anomaly.detectors.images.fine.channels import DIRECTIONS, n_channels

_LINE_BLOCK: Final = 2  # pixels of the half-size image, of which a cell has four
_LENGTH: Final = 2.5  # sd along a line, pixels of the half-size image; across it 1
_RADIUS: Final = 7  # of a line's kernel
_DOG: Final = 2  # place of the spot filter, the last of an octave's
_LOOK: Final = 8  # pixels of the half-size image in a block of the look
_NO_TEXTURE: Final = 1e-4
_TINT_BLUR: Final = 0.7


@dataclass(frozen=True)
class FineMaps:
    """What the fine filters see of images.

    Attributes
    ----------
    extremes : Tensor of shape (N, C, G, G), float32
        Largest response of each channel of `channels` in each cell.
    looks : Tensor of shape (N, D), float32
        Where an image is bright and where it is textured, by which materials are told apart.
    """

    extremes: Tensor
    looks: Tensor

    def take(self, rows: Bools) -> FineMaps:
        """Return those of some of the images."""
        chosen = torch.from_numpy(rows)
        return FineMaps(self.extremes[chosen], self.looks[chosen])

    def cpu(self) -> FineMaps:
        """Return the same on the processor."""
        return FineMaps(self.extremes.cpu(), self.looks.cpu())

    @classmethod
    def joined(cls, parts: list[FineMaps]) -> FineMaps:
        """Return the maps of several batches as those of one."""
        return cls(torch.cat([p.extremes for p in parts]), torch.cat([p.looks for p in parts]))


class FineFilters(nn.Module):
    """Turn images of ``image_size`` pixels, grey (1) or colour (3), into `FineMaps`."""

    def __init__(self, image_size: int, channels: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.channels = channels
        self.lines = FoldedFilters(line_kernels(), _LINE_BLOCK)

    @property
    def grid(self) -> int:
        """Cells along one side."""
        return self.image_size // CELL

    @property
    def n_channels(self) -> int:
        """Maps per image: 22, or 26 in colour."""
        return n_channels(self.channels)

    @property
    def n_looks(self) -> int:
        """Numbers of the look of an image."""
        return 2 * (self.image_size // 2 // _LOOK) ** 2

    def forward(self, octaves: Octaves) -> FineMaps:
        """Look at images that the octaves' filters have seen."""
        return FineMaps(self.extremes(octaves), look(octaves))

    def extremes(self, octaves: Octaves) -> Tensor:
        """Return the largest response of each channel in each cell, (N, C, G, G)."""
        spots = [part[..., _DOG:, :] for part in octaves.responses]
        found = [*spots, self.lines(octaves.log[1])]
        parts = [_extremes(part, self.grid) for part in found]
        if octaves.chroma is not None:
            parts.append(_tints(octaves.chroma))
        return torch.cat(parts, 1)


def line_kernels() -> Tensor:
    """Return short bright lines in eight directions, (8, 15, 15), float32.

    ``exp(-u**2 / (2 * 2.5**2)) (1 - v**2) exp(-v**2 / 2)``, u along and v across the line, without
    the mean under the envelope; absolute values add up to 1.
    """
    far = torch.arange(-_RADIUS, _RADIUS + 1, dtype=torch.float64)
    y, x = torch.meshgrid(far, far, indexing="ij")
    kernels = []
    for k in range(DIRECTIONS):
        turn = math.pi * k / DIRECTIONS
        along = math.cos(turn) * x + math.sin(turn) * y
        across = math.cos(turn) * y - math.sin(turn) * x
        envelope = torch.exp(-0.5 * ((along / _LENGTH) ** 2 + across**2))
        line = envelope * (1.0 - across**2)
        line = line - envelope * (line.sum() / envelope.sum())
        kernels.append(line / line.abs().sum())
    return torch.stack(kernels).to(torch.float32)


def _extremes(responses: Tensor, grid: int) -> Tensor:
    """Return the largest and the largest negative response of F filters, (N, 2 F, G, G).

    Of their responses (N, h, w, F, b**2) in blocks, of which a cell is one, or four.
    """
    high = low = responses
    if responses.shape[1] != grid:
        high, low = of_four(responses, torch.maximum), of_four(responses, torch.minimum)
    return torch.cat((high.amax(4), -low.amin(4)), 3).permute(0, 3, 1, 2)


def _tints(chroma: Tensor) -> Tensor:
    """Return how much redder, greener, bluer and yellower each cell is, (N, 4, G, G)."""
    local = blur(chroma - chroma.mean((2, 3), keepdim=True), _TINT_BLUR)
    red, blue = local[:, :1], local[:, 1:]
    return torch.cat((red, -red, blue, -blue), 1)


def look(octaves: Octaves) -> Tensor:
    """Return brightness around its mean, and texture, of blocks of images, (N, D)."""
    level = functional.avg_pool2d(octaves.log[1], _LOOK)
    level = level - level.mean((2, 3), keepdim=True)
    detail = functional.avg_pool2d(octaves.detail.square(), _LOOK)
    texture = 0.5 * torch.log(detail + _NO_TEXTURE)
    return torch.cat((level.flatten(1), texture.flatten(1)), 1)
