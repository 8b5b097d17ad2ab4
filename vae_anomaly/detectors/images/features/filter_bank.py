"""What the image VAE sees: a fixed bank of filters, nothing learned and nothing downloaded.

An image becomes 13 maps (15 in colour) on a grid of one cell per 8 x 8 pixels:

==========  ======================================================================
channels    meaning
==========  ======================================================================
0-8         at three octaves: log energy of the horizontal and vertical gradient
            and of a difference of Gaussians (a spot filter), order ``dx, dy, dog``
9-12        log brightness in 4 x 4-pixel blocks, high-passed, divided by its own
            standard deviation over the image; the four blocks of a cell
13-14       colour only: mean of log red - log green, and of log blue - log green
==========  ======================================================================

Everything starts from ``log(x + 0.05)``, so that a change of exposure is a shift, and the shift
is what a high-pass takes away. The filters of one octave are a single ``conv2d``: kernels are
folded into space-to-depth blocks, so that the sum over sub-pixels *is* the mean over the cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from vae_anomaly.detectors.images.features.whole_image import (
    N_FURTHER,
    N_LAYOUT,
    asymmetry,
    layout,
    still_lines,
)
from vae_anomaly.errors import ConfigError

CELL: Final = 8
"""Side of a grid cell in pixels of the resized image."""

_RADIUS: Final = 4
_SIGMA: Final = 0.8
_FINE: Final = 1.5  # surroundings of a fine detail, pixels of the half-size image
_N_ENERGY: Final = 9
_N_LEVEL: Final = 4
N_CHROMA: Final = 2
"""Chroma maps of a colour image, the last ones."""
OCTAVE_BLOCKS: Final = (4, 4, 2)
"""Space-to-depth block of each octave, where a cell has 8, 4 and 2 pixels."""

_SLOW: Final = 3.0  # shading, pixels of the quarter-size image
_REC601: Final = (0.299, 0.587, 0.114)

Octaves = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class BankOutput:
    """The bank's answer for a batch of images.

    Attributes
    ----------
    maps : Tensor of shape (N, C, G, G), float32
        The channels of the module's table on the grid of cells.
    statistics : Tensor of shape (N, S), float32
        Whole-image numbers, in the order of `features.whole_image`.
    """

    maps: Tensor
    statistics: Tensor


class FilterBank(nn.Module):
    """Turn images into log-energy, level and chroma maps with fixed filters.

    Parameters
    ----------
    image_size : int, pixels
        Side of the square input; a multiple of 8, at least 64.
    channels : {1, 3}
        Grey or RGB input.
    offset : float
        Added to intensities in [0, 1] before the logarithm.
    epsilon : float
        Added to energies before the logarithm; sets what counts as no texture.

    Raises
    ------
    ConfigError
        If the size is no multiple of 8 from 64 up, or the channels are not 1 or 3.
    """

    def __init__(
        self,
        image_size: int = 256,
        channels: int = 1,
        *,
        offset: float = 0.05,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        _check(image_size, channels)
        self.image_size = image_size
        self.channels = channels
        self.cell = CELL
        self.offset = offset
        self.epsilon = epsilon
        kernels = octave_kernels()
        for block in sorted(set(OCTAVE_BLOCKS)):
            folded = fold_kernels(kernels, block).contiguous(memory_format=torch.channels_last)
            self.register_buffer(f"kernel_{block}", folded, persistent=False)

    @property
    def grid(self) -> int:
        """Cells along one side of the maps."""
        return self.image_size // CELL

    @property
    def n_channels(self) -> int:
        """Maps per image: 13, or 15 in colour."""
        return _N_ENERGY + _N_LEVEL + (N_CHROMA if self.channels == 3 else 0)

    @property
    def n_first_statistics(self) -> int:
        """Whole-image numbers of the first models: 11, or 13 in colour."""
        return 2 + _N_ENERGY + (N_CHROMA if self.channels == 3 else 0)

    @property
    def n_statistics(self) -> int:
        """Whole-image numbers, see `features.whole_image`."""
        return self.n_first_statistics + N_FURTHER + N_LAYOUT

    def forward(self, images: Tensor) -> BankOutput:
        """Return maps and whole-image statistics of (N, channels, S, S), float32 in [0, 1]."""
        octaves = self._octaves(images)
        energy, chroma = self._energies(octaves), self._chroma(images)
        slow, spread = _shading(octaves[2])
        level = functional.pixel_unshuffle((octaves[2] - slow) / spread, 2)
        maps = [self._log_energy(blur(energy, 0.5)), level, *chroma]
        mean = energy.mean((2, 3))
        return BankOutput(torch.cat(maps, 1), self._numbers(octaves, mean, slow, chroma))

    def statistics(self, images: Tensor) -> Tensor:
        """Return the whole-image statistics (N, S) that `forward` returns, without its maps."""
        octaves = self._octaves(images)
        mean = [
            _squared_response(image, self.get_buffer(f"kernel_{block}"), block)
            .flatten(1, 2)
            .mean(1)  # before the mean over sub-pixels: faster
            .mean(2)
            for image, block in zip(octaves, OCTAVE_BLOCKS, strict=True)
        ]
        slow = blur(octaves[2], _SLOW)
        return self._numbers(octaves, torch.cat(mean, 1), slow, self._chroma(images))

    def _octaves(self, images: Tensor) -> Octaves:
        """Return log brightness (N, 1, S, S), and at half and a quarter of the size."""
        log = torch.log(luminance(images) + self.offset)
        half = halved(log)
        return log, half, halved(half)

    def _numbers(
        self, octaves: Octaves, energy: Tensor, slow: Tensor, chroma: list[Tensor]
    ) -> Tensor:
        """Return the statistics; ``energy`` (N, 9) is the mean over the image."""
        _, half, quarter = octaves
        details = (half - blur(half, _FINE), quarter - slow)
        statistics = [
            quarter.mean((2, 3)),
            quarter.std((2, 3), correction=0),
            self._log_energy(energy),
            *(part.mean((2, 3)) for part in chroma),
            *map(asymmetry, details),
            still_lines(half),
            layout(quarter),
        ]
        return torch.cat(statistics, 1)

    def coarse_image(self, images: Tensor, maps: Tensor) -> Tensor:
        """Return the brightness (N, 1, S / 4, S / 4) that raw level maps stand for, in [0, 1].

        Exposure, contrast and slow shading, which no map (N, C, G, G) holds, are the images' own.
        """
        log = torch.log(luminance(images) + self.offset)
        quarter = functional.avg_pool2d(log, 4)
        return self.draw(maps, *_shading(quarter))

    def draw(self, maps: Tensor, slow: Tensor, spread: Tensor) -> Tensor:
        """Return the coarse brightness (N, 1, S / 4, S / 4) of raw level maps under a given light.

        ``slow`` and ``spread`` are slow shading and contrast, in log brightness, that broadcast to
        it; it is float32 in [0, 1].
        """
        fine = functional.pixel_shuffle(maps[:, _N_ENERGY : _N_ENERGY + _N_LEVEL], 2)
        return (torch.exp(fine * spread + slow) - self.offset).clamp(0.0, 1.0)

    def _energies(self, octaves: Octaves) -> Tensor:
        """Return the mean squared responses of the cells, (N, 9, G, G)."""
        energies = []
        for image, block in zip(octaves, OCTAVE_BLOCKS, strict=True):
            energy = _block_energy(image, self.get_buffer(f"kernel_{block}"), block)
            energies.append(functional.avg_pool2d(energy, 2) if image is octaves[0] else energy)
        return torch.cat(energies, 1)

    def _log_energy(self, energy: Tensor) -> Tensor:
        return 0.5 * torch.log(energy + self.epsilon)

    def _chroma(self, images: Tensor) -> list[Tensor]:
        """Return the chroma differences of colour images, alone; of grey ones there are none."""
        return [] if images.shape[1] == 1 else [chroma_differences(images, self.offset)]


def chroma_differences(images: Tensor, offset: float) -> Tensor:
    """Return log red - log green and log blue - log green of each cell, (N, 2, G, G).

    Of colour images (N, 3, S, S). The logarithm of a product of four pixels is the sum of four, at
    a quarter of the cost.
    """
    n, channels, _, side = images.shape
    rows = (images + offset).reshape(n, channels, -1, 4, side)
    a, b, c, d = rows.unbind(3)  # (N, 3, S / 4, S)
    log = functional.avg_pool2d(torch.log(a * b * (c * d)), (CELL // 4, CELL)) / 4
    return torch.cat((log[:, 0:1] - log[:, 1:2], log[:, 2:3] - log[:, 1:2]), 1)


def luminance(images: Tensor) -> Tensor:
    """Return the brightness (N, 1, H, W) of grey or RGB images (ITU-R BT.601 weights)."""
    if images.shape[1] == 1:
        return images
    weights = images.new_tensor(_REC601).view(1, 3, 1, 1)
    return (images * weights).sum(1, keepdim=True)


def gaussian_kernel(sigma: float, radius: int | None = None) -> Tensor:
    """Return a Gaussian of unit sum, (2 radius + 1,), float32; sigma and radius in pixels.

    The radius is by default three sigma, rounded.
    """
    radius = max(1, round(3 * sigma)) if radius is None else radius
    x = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (x / sigma) ** 2)
    return (kernel / kernel.sum()).to(torch.float32)


def blur(maps: Tensor, sigma: float) -> Tensor:
    """Smooth each map of (..., H, W) with a Gaussian; edges are repeated.

    Done as two products with banded matrices, which for maps this small is faster than convolving.
    """
    height, width = maps.shape[-2:]
    down, along = _blur_matrix(height, sigma).to(maps), _blur_matrix(width, sigma).to(maps)
    return down @ maps @ along.T


@lru_cache(maxsize=64)
def _blur_matrix(size: int, sigma: float) -> Tensor:
    """Return the (size, size) matrix that smooths a line whose ends are repeated."""
    kernel = gaussian_kernel(sigma)
    radius = len(kernel) // 2
    matrix = torch.zeros(size, size)
    for row in range(size):
        for k, weight in enumerate(kernel.tolist()):
            matrix[row, min(max(row + k - radius, 0), size - 1)] += weight
    return matrix


def octave_kernels() -> Tensor:
    """Return the three 9 x 9 kernels ``dx, dy, dog`` of one octave, shape (3, 9, 9), float32."""
    narrow = gaussian_kernel(_SIGMA, _RADIUS).double()
    wide = gaussian_kernel(2 * _SIGMA, _RADIUS).double()
    slope = torch.zeros_like(narrow)
    slope[1:] += 0.5 * narrow[:-1]
    slope[:-1] -= 0.5 * narrow[1:]
    slope = slope * _SIGMA  # as a correlation: positive where brightness rises
    dx, dy = torch.outer(narrow, slope), torch.outer(slope, narrow)
    dog = torch.outer(narrow, narrow) - torch.outer(wide, wide)
    return torch.stack((dx, dy, dog)).to(torch.float32)


def fold_kernels(kernels: Tensor, block: int) -> Tensor:
    """Fold pixel kernels (F, 2 r + 1, 2 r + 1) into one kernel over space-to-depth blocks.

    Returns
    -------
    Tensor of shape (F * block**2, block**2, k, k)
        Output channel ``f * block**2 + i * block + j`` is filter ``f`` at sub-pixel ``(i, j)``;
        input channels are in the order of ``torch.nn.functional.pixel_unshuffle``. The block, a
        side in pixels, divides the radius r.
    """
    width, n_filters = kernels.shape[-1], kernels.shape[0]
    size = 2 * (width // 2 // block) + 1
    folded = kernels.new_zeros(n_filters, block, block, block * size, block * size)
    for i in range(block):
        for j in range(block):
            folded[:, i, j, i : i + width, j : j + width] = kernels
    folded = folded.view(n_filters * block**2, size, block, size, block)
    return folded.permute(0, 2, 4, 1, 3).reshape(n_filters * block**2, block**2, size, size)


def dihedral_maps(maps: Tensor, turns: int, *, mirror: bool = False) -> Tensor:
    """Return the bank's maps (N, 13 or 15, G, G) of the turned image, without reading it again.

    The quarter turns are counter-clockwise, after left and right are swapped where ``mirror`` is
    set. Maps are raw, not standardised; exact for the dihedral group, because the filters are
    symmetric up to sign.
    """
    energy, level = maps[:, :_N_ENERGY], maps[:, _N_ENERGY : _N_ENERGY + _N_LEVEL]
    chroma = maps[:, _N_ENERGY + _N_LEVEL :]
    fine = functional.pixel_shuffle(level, 2)
    if mirror:
        energy, fine, chroma = (part.flip(3) for part in (energy, fine, chroma))
    energy, fine, chroma = (torch.rot90(part, turns, (2, 3)) for part in (energy, fine, chroma))
    if turns % 2:
        energy = energy[:, [1, 0, 2, 4, 3, 5, 7, 6, 8]]
    return torch.cat((energy, functional.pixel_unshuffle(fine, 2), chroma), 1)


def _block_energy(image: Tensor, kernel: Tensor, block: int) -> Tensor:
    """Return the mean squared response of each filter over the blocks of (N, 1, H, W)."""
    energy = _squared_response(image, kernel, block).mean(4)  # faster than a product
    return energy.permute(0, 3, 1, 2)


def _squared_response(image: Tensor, kernel: Tensor, block: int) -> Tensor:
    """Return the squared responses of filters to (N, 1, H, W), (N, h, w, 3, block**2)."""
    squared = block_responses(image, kernel, block).square_()
    return squared.view(*squared.shape[:3], 3, block**2)


def block_responses(image: Tensor, kernel: Tensor, block: int, reach: int = _RADIUS) -> Tensor:
    """Return what folded filters say of images (N, 1, H, W), (N, h, w, F * block**2), contiguous.

    ``kernel`` is that of `fold_kernels`; filters reach so many pixels beyond the edge, which is
    repeated.
    """
    padded = functional.pad(image, (reach,) * 4, mode="replicate")
    deep = functional.pixel_unshuffle(padded, block)
    response = functional.conv2d(deep.contiguous(memory_format=torch.channels_last), kernel)
    return response.permute(0, 2, 3, 1)


def halved(image: Tensor) -> Tensor:
    """Return the means of blocks of 2 x 2 pixels, at a quarter of the time of `avg_pool2d`."""
    top, bottom = image[..., ::2, :], image[..., 1::2, :]
    return (top[..., ::2] + top[..., 1::2] + bottom[..., ::2] + bottom[..., 1::2]) / 4


def _shading(quarter: Tensor) -> tuple[Tensor, Tensor]:
    """Return slow shading (N, 1, H, W) and the sd of what remains (N, 1, 1, 1), in log units."""
    slow = blur(quarter, _SLOW)
    variance = (quarter - slow).var((2, 3), correction=0, keepdim=True)
    return slow, torch.sqrt(variance + 1e-4)


def _check(image_size: int, channels: int) -> None:
    if image_size < 64 or image_size % CELL:
        raise ConfigError(
            f"image_size must be a multiple of {CELL} of at least 64 pixels; got {image_size}. "
            f"Try {max(64, round(image_size / CELL) * CELL)}."
        )
    if channels not in (1, 3):
        raise ConfigError(
            f"channels must be 1 (grey) or 3 (RGB); got {channels}. Convert the images first."
        )
