"""Signed extremes below the cell: the one strong spot of a few pixels that a mean hides.

The bank's energies are means over cells of 8 x 8 pixels. A hole of six pixels in woven cloth is
there little beside the threads around it; the strongest single response in the cell is not. So
each filter keeps, of every cell, its largest response and its largest negative one. All starts from
``log(x + 0.05)``, as in the bank, and filters of one size are one convolution over space-to-depth
blocks: the extremes over sub-pixels *are* those of the block.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from vae_anomaly.arrays import Bools
from vae_anomaly.detectors.images.features.filter_bank import (
    CELL,
    OCTAVE_BLOCKS,
    block_responses,
    blur,
    chroma_differences,
    fold_kernels,
    halved,
    luminance,
    octave_kernels,
)
from vae_anomaly.detectors.images.fine.channels import DIRECTIONS, n_channels

_OFFSET: Final = 0.05
_LINE_BLOCK: Final = 4  # pixels of the half-size image a cell
_REACH: Final = 8  # pixels of the half-size image around it; a multiple of the block
_LENGTH: Final = 2.5  # sd along a line, pixels of the half-size image; across it 1
_RADIUS: Final = 7
_LOOK: Final = 8  # pixels of the half-size image in a block of the look
_FINE: Final = 1.5
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
        for block in sorted(set(OCTAVE_BLOCKS)):
            self._keep(f"spot_{block}", fold_kernels(octave_kernels()[2:], block))
        self._keep("line", fold_kernels(line_kernels(), _LINE_BLOCK))

    def _keep(self, name: str, kernel: Tensor) -> None:
        fast = kernel.contiguous(memory_format=torch.channels_last)
        self.register_buffer(name, fast, persistent=False)

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

    def forward(self, images: Tensor) -> FineMaps:
        """Look at images (N, channels, S, S), float32 in [0, 1]."""
        log = torch.log(luminance(images) + _OFFSET)
        half = halved(log)
        octaves = (log, half, halved(half))
        parts = [
            self._spots(image, block) for image, block in zip(octaves, OCTAVE_BLOCKS, strict=True)
        ]
        parts.append(_extremes(half, self.get_buffer("line"), _LINE_BLOCK, _REACH))
        if self.channels == 3:
            parts.append(_tints(images))
        return FineMaps(torch.cat(parts, 1), _look(half))

    def _spots(self, image: Tensor, block: int) -> Tensor:
        """Return the largest bright and dark response in each cell, (N, 2, G, G)."""
        is_two_wide = image.shape[-1] == 2 * block * self.grid
        kernel = self.get_buffer(f"spot_{block}")
        return _extremes(image, kernel, block, 4, is_two_wide=is_two_wide)


def line_kernels() -> Tensor:
    """Return short bright lines in eight directions, (8, 17, 17), float32.

    ``exp(-u**2 / (2 * 2.5**2)) (1 - v**2) exp(-v**2 / 2)``, u along and v across the line, without
    the mean under the envelope; absolute values add up to 1.
    """
    far = torch.arange(-_REACH, _REACH + 1, dtype=torch.float64)
    y, x = torch.meshgrid(far, far, indexing="ij")
    inside = (x.abs() <= _RADIUS) & (y.abs() <= _RADIUS)
    kernels = []
    for k in range(DIRECTIONS):
        turn = math.pi * k / DIRECTIONS
        along = math.cos(turn) * x + math.sin(turn) * y
        across = math.cos(turn) * y - math.sin(turn) * x
        envelope = torch.exp(-0.5 * ((along / _LENGTH) ** 2 + across**2)) * inside
        line = envelope * (1.0 - across**2)
        line = line - envelope * (line.sum() / envelope.sum())
        kernels.append(line / line.abs().sum())
    return torch.stack(kernels).to(torch.float32)


def _extremes(
    image: Tensor, kernel: Tensor, block: int, reach: int, *, is_two_wide: bool = False
) -> Tensor:
    """Return the largest and the largest negative response of F filters, (N, 2 F, G, G).

    In the cells of an image (N, 1, H, W), which are a block wide, or two.
    """
    high = low = last = block_responses(image, kernel, block, reach)
    if is_two_wide:
        high, low = _of_four(last, torch.maximum), _of_four(last, torch.minimum)
    shape = (*high.shape[:3], -1, block**2)
    extremes = torch.cat((high.reshape(shape).amax(4), -low.reshape(shape).amin(4)), 3)
    return extremes.permute(0, 3, 1, 2)


def _of_four(last: Tensor, larger: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return the larger of 2 x 2 neighbours of (N, h, w, F), (N, h / 2, w / 2, F)."""
    rows = larger(last[:, ::2], last[:, 1::2])
    return larger(rows[:, :, ::2], rows[:, :, 1::2])


def _tints(images: Tensor) -> Tensor:
    """Return how much redder, greener, bluer and yellower each cell is, (N, 4, G, G)."""
    chroma = chroma_differences(images, _OFFSET)
    local = blur(chroma - chroma.mean((2, 3), keepdim=True), _TINT_BLUR)
    red, blue = local[:, :1], local[:, 1:]
    return torch.cat((red, -red, blue, -blue), 1)


def _look(half: Tensor) -> Tensor:
    """Return brightness around its mean, and texture, of blocks of (N, 1, H, W)."""
    level = functional.avg_pool2d(half, _LOOK)
    level = level - level.mean((2, 3), keepdim=True)
    detail = functional.avg_pool2d((half - blur(half, _FINE)).square(), _LOOK)
    texture = 0.5 * torch.log(detail + _NO_TEXTURE)
    return torch.cat((level.flatten(1), texture.flatten(1)), 1)
