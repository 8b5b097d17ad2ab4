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
is what a high-pass takes away. `features.octaves` holds the filters and says how they are computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from vae_anomaly.detectors.images.features.octaves import (
    CELL,
    OctaveFilters,
    Octaves,
    few_at_once,
)
from vae_anomaly.detectors.images.features.smoothing import blur
from vae_anomaly.detectors.images.features.whole_image import (
    N_FURTHER,
    N_LAYOUT,
    asymmetry,
    layout,
    still_lines,
)
from vae_anomaly.errors import ConfigError

_N_ENERGY: Final = 9
_N_LEVEL: Final = 4
N_CHROMA: Final = 2
"""Chroma maps of a colour image, the last ones."""
_SLOW: Final = 3.0  # shading, pixels of the quarter-size image


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

    @classmethod
    def joined(cls, parts: Sequence[BankOutput]) -> BankOutput:
        """Return the answers for several batches as that for one."""
        return cls(torch.cat([p.maps for p in parts]), torch.cat([p.statistics for p in parts]))


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
        self.octaves = OctaveFilters(offset)

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
        return BankOutput.joined([features for features, _ in self.looks(images)])

    def looks(self, images: Tensor) -> Iterator[tuple[BankOutput, Octaves]]:
        """Yield what `forward` returns, and what fine detail is read from, of a few at a time."""
        for part in few_at_once(images):
            octaves = self.octaves(part)
            yield self.read(octaves), octaves

    def read(self, octaves: Octaves) -> BankOutput:
        """Return maps and whole-image statistics of images that the octaves' filters have seen."""
        energy = torch.cat([_energy(part, self.grid) for part in octaves.responses], 1)
        quarter, chroma = octaves.log[2], _listed(octaves.chroma)
        slow, spread = _shading(quarter)
        level = functional.pixel_unshuffle((quarter - slow) / spread, 2)
        maps = [self._log_energy(blur(energy, 0.5)), level, *chroma]
        return BankOutput(torch.cat(maps, 1), self._numbers(octaves, energy.mean((2, 3)), slow))

    def statistics(self, octaves: Octaves) -> Tensor:
        """Return the whole-image statistics (N, S) that `read` returns, without its maps."""
        mean = [
            part.square().flatten(1, 2).mean(1).mean(2)  # pixels of a block last: faster
            for part in octaves.responses
        ]
        return self._numbers(octaves, torch.cat(mean, 1), blur(octaves.log[2], _SLOW))

    def _numbers(self, octaves: Octaves, energy: Tensor, slow: Tensor) -> Tensor:
        """Return the statistics; ``energy`` (N, 9) is the mean over the image."""
        _, half, quarter = octaves.log
        statistics = [
            quarter.mean((2, 3)),
            quarter.std((2, 3), correction=0),
            self._log_energy(energy),
            *(part.mean((2, 3)) for part in _listed(octaves.chroma)),
            *map(asymmetry, (octaves.detail, quarter - slow)),
            still_lines(half),
            layout(quarter),
        ]
        return torch.cat(statistics, 1)

    def coarse_image(self, images: Tensor, maps: Tensor) -> Tensor:
        """Return the brightness (N, 1, S / 4, S / 4) that raw level maps stand for, in [0, 1].

        Exposure, contrast and slow shading, which no map (N, C, G, G) holds, are the images' own.
        """
        return self.draw(maps, *_shading(self.octaves.log(images)[2]))

    def draw(self, maps: Tensor, slow: Tensor, spread: Tensor) -> Tensor:
        """Return the coarse brightness (N, 1, S / 4, S / 4) of raw level maps under a given light.

        ``slow`` and ``spread`` are slow shading and contrast, in log brightness, that broadcast to
        it; it is float32 in [0, 1].
        """
        fine = functional.pixel_shuffle(maps[:, _N_ENERGY : _N_ENERGY + _N_LEVEL], 2)
        return (torch.exp(fine * spread + slow) - self.offset).clamp(0.0, 1.0)

    def _log_energy(self, energy: Tensor) -> Tensor:
        return 0.5 * torch.log(energy + self.epsilon)


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


def _energy(responses: Tensor, grid: int) -> Tensor:
    """Return the mean squared responses (N, 3, G, G) of cells of one block, or of four."""
    if responses.shape[1] == grid:
        return responses.square().mean(4).permute(0, 3, 1, 2)
    top, bottom = responses[:, ::2], responses[:, 1::2]
    rows = torch.addcmul(top.square(), bottom, bottom)  # half the memory of squaring all
    energy = (rows[:, :, ::2] + rows[:, :, 1::2]).mean(4) * 0.25
    return energy.permute(0, 3, 1, 2)


def _listed(chroma: Tensor | None) -> list[Tensor]:
    """Return the chroma alone; of grey images there is none."""
    return [] if chroma is None else [chroma]


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
