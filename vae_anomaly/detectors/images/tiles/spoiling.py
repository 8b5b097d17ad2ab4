"""Synthetic defects on a large image: only the tiles that show one are looked at again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from vae_anomaly.arrays import AnyArray, Bools, Floats, Floats32, Ints
from vae_anomaly.data.images.resize import resize_image
from vae_anomaly.detectors.images.fit.kinds import one_of_each
from vae_anomaly.detectors.images.networks.bank import NetworkOutput, combined
from vae_anomaly.detectors.images.tiles.examine import PlacedImage, TiledImage, tile_chunks
from vae_anomaly.detectors.images.tiles.grid import TileBlend, TileGrid
from vae_anomaly.detectors.images.tiles.network import TiledNetwork
from vae_anomaly.devices import device_of, exact_float32


def spoiled_tiles(
    network: TiledNetwork, placed: PlacedImage, judge: int, seed: Sequence[int]
) -> tuple[list[tuple[str, int]], Floats, Floats]:
    """Paint one defect of each kind and size into a large image, and let one half's network look.

    Returns
    -------
    cells : list of n (kind, size)
    pooled : ndarray of shape (n, P or P + 1)
        As `TiledImage.pooled`.
    statistics : ndarray of shape (n, S)
    """
    look = _Look.at(network, placed, judge)
    generator = np.random.default_rng(list(seed))
    number = int(generator.choice(look.numbers))
    cells, rows = [], []
    crop, inside = look.crop(number)
    for kind, size, drawn in one_of_each(crop, network.spec.channels, seed, inside=inside):
        cells.append((kind, size))
        rows.append(look.again(number, drawn.image, drawn.where))
    pooled, statistics = (np.stack(part) for part in zip(*rows, strict=True))
    return cells, pooled, statistics


@dataclass(frozen=True)
class _Look:
    """What a half's network says of the tiles ``numbers`` (t,) of an image as it is."""

    network: TiledNetwork
    placed: PlacedImage
    judge: int
    grid: TileGrid
    numbers: Ints
    output: NetworkOutput

    @classmethod
    def at(cls, network: TiledNetwork, placed: PlacedImage, judge: int) -> _Look:
        grid = network.layout.grid_of(placed.name, placed.pixels)
        numbers = placed.tiles(grid)
        output = _inspected(network, placed, grid, judge, numbers)
        return cls(network, placed, judge, grid, numbers, output)

    def crop(self, number: int) -> tuple[Floats32, Bools | None]:
        """Return the pixels of a tile, (h, w, C) in [0, 1], and which of them show the part."""
        top, left = self._corner(number)
        window = slice(top, top + self.grid.tile), slice(left, left + self.grid.tile)
        cut, foreground = self.placed.pixels[window], self.placed.foreground
        part = None if foreground is None else foreground.on(self.placed.pixels.shape[:2])[window]
        return np.atleast_3d(resize_image(cut, cut.shape[:2]))[:, :, :3], part

    def again(
        self, number: int, spoiled: Floats32, where: tuple[slice, slice]
    ) -> tuple[Floats, Floats]:
        """Return poolings and statistics of the image with a tile's pixels ``where`` replaced."""
        rows, columns = (
            slice(start + part.start, start + part.stop)
            for start, part in zip(self._corner(number), where, strict=True)
        )
        placed = replace(self.placed, pixels=self.placed.pixels.copy())
        _write(placed.pixels[rows, columns], spoiled[where])
        shown = np.array([self._shows(k, rows, columns) for k in self.numbers.tolist()])
        fresh = _inspected(self.network, placed, self.grid, self.judge, self.numbers[shown])
        output = _with(self.output, shown, fresh)
        image = TiledImage(placed, self.grid, *self._maps(output), *_means(output))
        return image.pooled(self.network.grounds((self.judge,))), image.statistics

    def _corner(self, number: int) -> tuple[int, int]:
        """Return first row and column of a tile, in pixels."""
        row, column = self.grid.corner(number)
        return self.grid.cell * row, self.grid.cell * column

    def _shows(self, number: int, rows: slice, columns: slice) -> bool:
        """Tell whether a tile shows any of these rows and columns of the image."""
        return all(
            start * self.grid.cell < part.stop
            and part.start < start * self.grid.cell + self.grid.tile
            for start, part in zip(self.grid.corner(number), (rows, columns), strict=True)
        )

    def _maps(self, output: NetworkOutput) -> tuple[Floats32, Floats32]:
        shown = self._joined(output.heatmap)
        return shown, self._joined(output.score_map) if self.network.has_two_maps else shown

    def _joined(self, maps: torch.Tensor) -> Floats32:
        blend = TileBlend(self.grid)
        blend.add(self.numbers.tolist(), maps.numpy())
        return blend.map()


def _inspected(
    network: TiledNetwork, placed: PlacedImage, grid: TileGrid, judge: int, some: Ints
) -> NetworkOutput:
    """Return what one half's network says of some tiles of an image, on the processor."""
    device, outputs = device_of(network), []
    with torch.inference_mode(), exact_float32(device):
        for images, numbers, n in tile_chunks(placed, grid, network.spec.channels, some):
            outputs.append(network(images.to(device), numbers.to(device), (judge,)).take(n))
    return combined(outputs, torch.cat)


def _with(output: NetworkOutput, rows: AnyArray, fresh: NetworkOutput) -> NetworkOutput:
    """Return an output in which some rows are those of another."""
    at = torch.from_numpy(np.flatnonzero(rows))
    return combined([output, fresh], lambda parts: parts[0].index_copy(0, at, parts[1]))


def _means(output: NetworkOutput) -> tuple[Floats, Floats]:
    """Return mean statistics and terms over tiles."""
    means = (part.double().mean(0).numpy() for part in (output.statistics, output.terms))
    statistics, terms = means
    return statistics, terms


def _write(part: AnyArray, values: Floats32) -> None:
    """Put values (h, w, C) in [0, 1] into pixels (h, w) or (h, w, C or more) of any type."""
    white = 1.0 if part.dtype.kind == "f" else float(np.iinfo(part.dtype).max)
    scaled = white * values if white == 1.0 else np.rint(white * values)
    if part.ndim == 2:
        part[:] = scaled[:, :, 0]
    else:
        part[:, :, : values.shape[2]] = scaled
