"""Large pictures at their own resolution: tile by tile, one picture at a time.

Two networks, each trained on the tiles of one half of the training pictures, inspect every tile;
the maps of a picture's tiles are joined without seams. Where the training pictures show the same
thing at the same place (a circuit board, not a fabric), maps are first put in units of what is
usual at that place of the large picture: the networks then see tiles of one kind, wherever they
lie.

No more than eight tiles are held as networks see them, and one picture as it was decoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NoReturn, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vae_anomaly.data.tiling import TileGrid
from vae_anomaly.detectors._image_examination import (
    ImageExamination,
    examination,
    filled_up,
    settled,
)
from vae_anomaly.detectors.image_network import BankNetwork, NetworkSpec
from vae_anomaly.detectors.image_source import CHUNK, Pictures, refuse_faults
from vae_anomaly.devices import device_of, exact_float32
from vae_anomaly.errors import ConfigError, ImageError
from vae_anomaly.features import CELL, BankOutput
from vae_anomaly.scoring.residuals import MapScale
from vae_anomaly.scoring.tiles import TileBlend, pool_tiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vae_anomaly.detectors.image import ImageVAEDetector
    from vae_anomaly.progress import Progress

    Floats = NDArray[np.float64]

__all__ = ["TileLayout", "TilePositions", "TiledNetwork", "examine_tiles", "inspect_tiles"]


@dataclass(frozen=True)
class TileLayout:
    """How pictures are cut.

    Parameters
    ----------
    tile_size : int, pixels
    overlap : float in [0, 0.5]
    height, width : int, pixels
        Of the first training picture; heat maps come on its grid.
    aligned : bool
        Training pictures show the same thing at the same place; all have that one size then.
    """

    tile_size: int
    overlap: float
    height: int
    width: int
    aligned: bool = False

    def grid(self, height: int | None = None, width: int | None = None) -> TileGrid:
        """Return the tiles of a picture, by default of one like those of training."""
        return TileGrid(
            height or self.height, width or self.width, self.tile_size, self.overlap, CELL
        )

    def grid_of(self, name: str, pixels: NDArray[Any]) -> TileGrid:
        """Return the tiles of a picture.

        Raises
        ------
        ImageError
            If the picture is smaller than a tile, or of another size where sizes matter.
        """
        height, width = pixels.shape[:2]
        if min(height, width) < self.tile_size:
            fitting = min(height, width) // 16 * 16
            remedy = f"a tile_size of at most {fitting}, or " if fitting >= 64 else ""
            raise ImageError(
                f"{name} has {height} x {width} pixels, less than a tile of {self.tile_size}. "
                f"Train with {remedy}without tile_size: pictures are then resized as a whole.",
                code="size",
            )
        if self.aligned and (height, width) != (self.height, self.width):
            raise ImageError(
                f"{name} has {height} x {width} pixels. The pictures of training had "
                f"{self.height} x {self.width}, and showed the same thing at the same place: each "
                "place is compared with itself. Bring it to that size, or train with pose='any' to "
                "leave places out of account.",
                code="size",
            )
        return self.grid(height, width)


class TilePositions(nn.Module):
    """What is usual at each place of the large picture: mean and sd of the bank's maps.

    Parameters
    ----------
    shape : tuple of int
        ``(K, C, g, g)`` for K tiles.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("spread", torch.ones(shape))

    def forward(self, maps: Tensor, numbers: Tensor) -> Tensor:
        """Return maps (N, C, g, g) of the tiles ``numbers`` (N,) in sd from the mean there."""
        return (maps - self.mean[numbers]) / self.spread[numbers]


class TiledNetwork(nn.Module):
    """Two networks on tiles, what is usual at each place, and the scale of their maps.

    Parameters
    ----------
    specs : sequence of two NetworkSpec
    layout : TileLayout

    Attributes
    ----------
    halves : ModuleList of BankNetwork
        Each has seen the pictures of its own half, and is calibrated on those of the other.
    """

    def __init__(self, specs: Sequence[NetworkSpec], layout: TileLayout) -> None:
        super().__init__()
        self.layout = layout
        self.halves = nn.ModuleList(BankNetwork(spec) for spec in specs)
        bank = self._half(0).bank
        shape = (len(layout.grid()), bank.n_channels, bank.grid, bank.grid)
        n_positions = len(specs) if layout.aligned else 0
        self.positions = nn.ModuleList(TilePositions(shape) for _ in range(n_positions))
        self.scales = nn.ModuleList(MapScale() for _ in specs)

    @property
    def spec(self) -> NetworkSpec:
        """Shapes of the first network."""
        return self._half(0).spec

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` builds an empty network of the same shape from."""
        specs = [self._half(k).spec.to_dict() for k in range(len(self.halves))]
        return {"layout": asdict(self.layout), "halves": specs}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TiledNetwork:
        """Build an empty network."""
        specs = [NetworkSpec.from_dict(spec) for spec in values["halves"]]
        return cls(specs, TileLayout(**values["layout"]))

    def set_scales(self, means: Sequence[float], spreads: Sequence[float]) -> None:
        """Put each half's maps on the scale of the held-out normals that it judged."""
        for scale, mean, spread in zip(self.scales, means, spreads, strict=True):
            cast("MapScale", scale).mean.fill_(mean)
            cast("MapScale", scale).spread.fill_(spread)

    def standardised(self, half: int, maps: Tensor, numbers: Tensor) -> Tensor:
        """Return the bank's maps of tiles as a half's network takes them."""
        if not self.layout.aligned:
            return maps
        standard: Tensor = self.positions[half](maps, numbers)
        return standard

    def forward(
        self, images: Tensor, numbers: Tensor, halves: Sequence[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Inspect tiles (N, C, T, T) that lie at the places ``numbers``.

        Returns
        -------
        heat : Tensor of shape (N, g, g)
            Mean over the halves asked for, in sd of held-out normals.
        statistics : Tensor of shape (N, S)
        terms : Tensor of shape (N, 3), nats
            Reconstruction term, KL and the linear level's -log p; mean over the halves.
        """
        features = self._half(0).bank(images)
        heat, terms = [], []
        for k in halves:
            maps = self.standardised(k, features.maps, numbers)
            said = self._half(k).inspect(BankOutput(maps, features.statistics))
            heat.append(self.scales[k](said.heat))
            terms.append(torch.stack((said.nll, said.kl, said.linear_nll), 1))
        return torch.stack(heat).mean(0), features.statistics, torch.stack(terms).mean(0)

    def preview(self, images: Tensor, condition: Tensor | None = None) -> NoReturn:
        """Refuse: there is no one latent vector of a large picture."""
        raise _no_latents()

    def latents(self, images: Tensor, condition: Tensor | None = None) -> NoReturn:
        """Refuse: there is no one latent vector of a large picture."""
        raise _no_latents()

    def decode(self, z: Tensor, condition: Tensor | None = None) -> NoReturn:
        """Refuse: there is no one latent vector of a large picture."""
        raise _no_latents()

    def draw_prior(self, n: int, generator: torch.Generator | None = None) -> NoReturn:
        """Refuse: there is no one latent vector of a large picture."""
        raise _no_latents()

    def _half(self, k: int) -> BankNetwork:
        return cast("BankNetwork", self.halves[k])


@dataclass(frozen=True)
class TiledPicture:
    """What is said of one large picture.

    Attributes
    ----------
    grid : TileGrid
    heat : ndarray of shape (gh, gw), float32
        In sd of held-out normals.
    statistics : ndarray of shape (S,), float64
        Mean over tiles.
    terms : ndarray of shape (3,), float64, nats
        Reconstruction term, KL and the linear level's -log p; mean over tiles.
    """

    grid: TileGrid
    heat: NDArray[np.float32]
    statistics: Floats
    terms: Floats

    @property
    def pooled(self) -> Floats:
        """The map's poolings, (P,)."""
        return pool_tiles(self.heat, self.grid)

    def on(self, cells: tuple[int, int]) -> NDArray[np.float32]:
        """Return the map on a grid of other cells: the hottest of what falls into each."""
        if cells == self.heat.shape:
            return self.heat
        pooled = functional.adaptive_max_pool2d(torch.from_numpy(self.heat)[None], cells)
        return np.asarray(pooled[0].numpy(), np.float32)


def tile_chunks(
    name: str, pixels: NDArray[Any], grid: TileGrid, channels: int
) -> Iterator[tuple[Tensor, Tensor, int]]:
    """Yield eight tiles at a time, (8, C, T, T), their numbers, and how many of them are new.

    Raises
    ------
    ImageError
        If pixels have no meaning; names the picture.
    """
    for start in range(0, len(grid), CHUNK):
        numbers = np.arange(start, min(start + CHUNK, len(grid)))
        crops = tile_pictures(name, [grid.cut(pixels, k) for k in numbers.tolist()])
        rows = [crops.prepared(k, grid.tile, channels) for k in range(len(crops))]
        images = np.stack(rows).transpose(0, 3, 1, 2)
        yield filled_up(images), filled_up(numbers), len(numbers)


def tile_pictures(name: str, crops: Sequence[NDArray[Any]]) -> Pictures:
    """Return tiles as pictures that bear the name of the one they were cut from."""
    nothing = (None,) * len(crops)
    return Pictures((name,) * len(crops), tuple(crops), nothing, nothing)


def inspect_tiles(
    network: TiledNetwork, name: str, pixels: NDArray[Any], halves: Sequence[int] = (0, 1)
) -> TiledPicture:
    """Inspect one large picture, eight tiles at a time.

    Raises
    ------
    ImageError
        If its size or its pixels cannot be used; names it.
    """
    grid, place = network.layout.grid_of(name, pixels), device_of(network)
    blend, statistics, terms = TileBlend(grid), [], []
    with torch.inference_mode(), exact_float32(place):
        for images, numbers, n in tile_chunks(name, pixels, grid, network.spec.channels):
            said = network(images.to(place), numbers.to(place), halves)
            heat, numbers_said, terms_said = (part[:n].cpu() for part in said)
            blend.add(int(numbers[0]), heat.numpy())
            statistics.append(numbers_said.double().numpy())
            terms.append(terms_said.double().numpy())
    means = (np.concatenate(parts).mean(axis=0) for parts in (statistics, terms))
    return TiledPicture(grid, blend.map(), *means)


def examine_tiles(
    detector: ImageVAEDetector, pictures: Pictures, progress: Progress
) -> ImageExamination:
    """Score large pictures, each alone.

    Raises
    ------
    ImageError
        After all were tried: names the first pictures that cannot be used.
    """
    network = cast("TiledNetwork", detector.network_)
    settled(detector)
    cells, faults, said = network.layout.grid().cells, [], []
    for i, name in enumerate(pictures.ids):
        try:
            seen = inspect_tiles(network, name, pictures.pixels(i))
            said.append((seen.pooled, seen.statistics, seen.terms, seen.on(cells)))
        except ImageError as err:
            faults.append(err)
        progress("score", i + 1, len(pictures))
    refuse_faults(faults, len(pictures))
    pooled, statistics, terms, heat = (np.stack(parts) for parts in zip(*said, strict=True))
    return _judged(detector, pictures.ids, (pooled, statistics, terms), heat)


def _judged(
    detector: ImageVAEDetector,
    ids: tuple[str, ...],
    said: tuple[Floats, Floats, Floats],
    heat: NDArray[np.float32],
) -> ImageExamination:
    pooled, statistics, terms = said
    evidence = detector.image_score_.of_pools(pooled, statistics)
    nll, kl, linear_nll = terms.T
    return examination(detector, ids, evidence, (nll, kl, linear_nll), (heat, heat))


def _no_latents() -> ConfigError:
    return ConfigError(
        "A detector with tile_size= has latents for each tile, none for a picture. Train one "
        "without tile_size to reconstruct, embed or sample."
    )
