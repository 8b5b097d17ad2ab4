"""One look at a large image: where it lies, its tiles, and the maps that join them.

Placing is found as for images taken as a whole: on images resized to ``image_size``. The shift is
then brought to the pixels of the large image, which is as precise as the reduced pixels are, and
`Refinement` looks again at one window at full resolution. Nothing is resized for the network. No
more than eight tiles are held as networks see them, and one image as it was decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from vae_anomaly.arrays import AnyArray, Bools, Floats, Floats32, Ints
from vae_anomaly.data.images.decode import within_memory
from vae_anomaly.detectors.images.image_list import (
    CHUNK,
    ImageList,
    Result,
    padded,
    refuse_faults,
)
from vae_anomaly.detectors.images.place.placing import Foreground, Placing
from vae_anomaly.detectors.images.place.registration import (
    Shift,
    coarse_shift,
    shift_image,
    shift_maps,
)
from vae_anomaly.detectors.images.tiles.grid import TileBlend, TileGrid, pool_tiles
from vae_anomaly.detectors.images.tiles.network import TiledNetwork
from vae_anomaly.devices import device_of, exact_float32
from vae_anomaly.errors import DataError, ImageError
from vae_anomaly.progress import Progress


@dataclass(frozen=True)
class PlacedImage:
    """A large image that lies where the others lie, its background painted over.

    Attributes
    ----------
    pixels : ndarray of shape (H, W) or (H, W, C)
    shift : (int, int)
        Pixels by which it was moved up and left.
    """

    name: str
    pixels: AnyArray
    shift: Shift = (0, 0)
    foreground: Foreground | None = None

    def tiles(self, grid: TileGrid) -> Ints:
        """Return the numbers of the tiles that show any of the foreground."""
        if self.foreground is None:
            return np.arange(len(grid))
        part = self.foreground.on(grid.cells)
        return np.array([k for k in range(len(grid)) if part[grid.window(k)].any()], np.int64)

    def inside(self, grid: TileGrid) -> Bools:
        """Return the cells that are looked at: foreground, and nothing that moving made up."""
        inside = np.ones(grid.cells, bool)
        if self.shift != (0, 0):
            cells = -np.array(self.shift) / grid.cell
            outward = np.where(cells < 0, np.floor(cells), np.ceil(cells)).astype(int)
            inside = ndimage.shift(inside.astype(np.uint8), outward, order=0, cval=0) > 0
        return inside if self.foreground is None else inside & self.foreground.on(grid.cells)

    def moved_back(self, joined: Floats32, grid: TileGrid) -> Floats32:
        """Return a map (gh, gw) where the image came with its part."""
        by = np.array(self.shift) / (grid.cell * np.array(grid.cells))
        moved: Floats32 = shift_maps(joined[None], by[None])[0]
        return moved


@dataclass(frozen=True)
class TilePlacing:
    """What is done to every large image before it is cut.

    The reduced images on which the shift is found have ``channels``.
    """

    placing: Placing
    channels: int = 1

    def __call__(self, name: str, pixels: AnyArray) -> PlacedImage:
        """Move an image, and paint its background; an `ImageError` names it."""
        shift, foreground = self._shift(name, pixels), self.placing.foreground
        pixels = shift_image(pixels, shift)
        if foreground is not None:
            pixels = foreground.paint(pixels)
        return PlacedImage(name, pixels, shift, foreground)

    def _shift(self, name: str, pixels: AnyArray) -> Shift:
        registration, refinement = self.placing.registration, self.placing.refinement
        if registration is None:
            return 0, 0
        try:
            shift = coarse_shift(registration, pixels, self.channels)
            if refinement is None:
                return shift
            down, right = refinement(pixels, shift)
        except ImageError:
            raise
        except DataError as err:
            raise ImageError(f"{name}: {err}", code="values") from err
        return shift[0] + down, shift[1] + right


@dataclass(frozen=True)
class TiledImage:
    """What is said of one large image.

    Attributes
    ----------
    heatmap, score_map : ndarray of shape (gh, gw), float32
        The shown map and the scored one, in sd of held-out normals, where the others lie; often
        one and the same.
    statistics : ndarray of shape (S,), float64
        Mean over tiles.
    terms : ndarray of shape (3,), float64, nats
        Reconstruction term, KL and the linear level's -log p; mean over tiles.
    """

    placed: PlacedImage
    grid: TileGrid
    heatmap: Floats32
    score_map: Floats32
    statistics: Floats
    terms: Floats

    @property
    def inside(self) -> Bools:
        """Cells that are looked at, (gh, gw)."""
        return self.placed.inside(self.grid)

    def pooled(self, grounds: tuple[float, float]) -> Floats:
        """Return what the score is made of, (P or P + 1,), as `pool_maps_of_images` of whole ones.

        What is not looked at counts as the ``grounds`` of the shown and the scored map.
        """
        pools = self._pools(self.score_map, grounds[1])
        if self.score_map is self.heatmap:
            return pools
        return np.append(pools, self._pools(self.heatmap, grounds[0])[0])

    def _pools(self, maps: Floats32, ground: float) -> Floats:
        inside = self.inside
        if inside.all():
            return pool_tiles(maps, self.grid)
        return pool_tiles(np.where(inside, maps, ground), self.grid, inside)

    def maps(self, cells: tuple[int, int]) -> tuple[Floats32, Floats32]:
        """Return the shown map and the scored one as `on` does."""
        shown = self.on(self.heatmap, cells)
        return shown, shown if self.score_map is self.heatmap else self.on(self.score_map, cells)

    def on(self, joined: Floats32, cells: tuple[int, int]) -> Floats32:
        """Return a map where the image came, 0 where nothing is looked at.

        On a grid of other cells it is the hottest of what falls into each.
        """
        visible = np.where(self.inside, joined, np.float32(0.0))
        back = self.placed.moved_back(visible, self.grid)
        if cells == back.shape:
            return back
        pooled = functional.adaptive_max_pool2d(torch.from_numpy(back)[None], cells)
        return np.asarray(pooled[0].numpy(), np.float32)


def tile_chunks(
    placed: PlacedImage, grid: TileGrid, channels: int, some: Ints | None = None
) -> Iterator[tuple[Tensor, Tensor, int]]:
    """Yield eight tiles at a time, (8, C, T, T), their numbers, and how many of them are new.

    Without ``some`` all, but for those that show nothing but background. An `ImageError` names the
    image.
    """
    every = placed.tiles(grid) if some is None else some
    for start in range(0, len(every), CHUNK):
        numbers = every[start : start + CHUNK]
        crops = tile_images(placed.name, [grid.cut(placed.pixels, k) for k in numbers.tolist()])
        rows = [crops.prepared(k, grid.tile, channels) for k in range(len(crops))]
        images = np.stack(rows).transpose(0, 3, 1, 2)
        yield padded(images), padded(numbers), len(numbers)


def tile_images(name: str, crops: Sequence[AnyArray]) -> ImageList:
    """Return tiles as images that bear the name of the one they were cut from."""
    nothing = (None,) * len(crops)
    return ImageList((name,) * len(crops), tuple(crops), nothing, nothing)


def inspect_tiles(
    network: TiledNetwork, placed: PlacedImage, halves: Sequence[int] = (0, 1)
) -> TiledImage:
    """Inspect one large image, eight tiles at a time; an `ImageError` names it."""
    grid, device = network.layout.grid_of(placed.name, placed.pixels), device_of(network)
    shown, scored, statistics, terms = TileBlend(grid), TileBlend(grid), [], []
    with torch.inference_mode(), exact_float32(device):
        for images, numbers, n in tile_chunks(placed, grid, network.spec.channels):
            output = network(images.to(device), numbers.to(device), halves).take(n)
            real = numbers[:n].tolist()
            shown.add(real, output.heatmap.numpy())
            if network.has_two_maps:
                scored.add(real, output.score_map.numpy())
            statistics.append(output.statistics.double().numpy())
            terms.append(output.terms.double().numpy())
    heatmap = shown.map()
    score_map = scored.map() if network.has_two_maps else heatmap
    means = (np.concatenate(parts).mean(axis=0) for parts in (statistics, terms))
    return TiledImage(placed, grid, heatmap, score_map, *means)


def look_at_each(
    images: ImageList,
    placing: TilePlacing,
    look: Callable[[PlacedImage], Result],
    progress: Progress,
) -> list[Result]:
    """Return what a look at each image says, one image at a time.

    After all were tried, an `ImageError` names the first images that cannot be used.
    """
    faults, looks = [], []
    for i, name in enumerate(images.ids):
        try:
            with within_memory(name):
                looks.append(look(placing(name, images.pixels(i))))
        except ImageError as err:
            faults.append(err)
        progress("score", i + 1, len(images))
    refuse_faults(faults, len(images))
    return looks
