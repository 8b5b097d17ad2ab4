"""Large pictures at their own resolution: tile by tile, one picture at a time.

Two networks, each trained on the tiles of one half of the training pictures, inspect every tile;
the maps of a picture's tiles are joined without seams. Where the training pictures show the same
thing at the same place (a circuit board, not a fabric), maps are first put in units of what is
usual at that place of the large picture: the networks then see tiles of one kind, wherever they
lie.

No more than eight tiles are held as networks see them, and one picture as it was decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vae_anomaly.arrays import AnyArray, AnyFloats, Bools, Floats, Floats32
from vae_anomaly.detectors.images.examination import (
    ImageExamination,
    examination,
    filled_up,
    settled,
)
from vae_anomaly.detectors.images.features.filter_bank import CELL, BankOutput
from vae_anomaly.detectors.images.image_list import CHUNK, Pictures, refuse_faults
from vae_anomaly.detectors.images.networks.bank import BankNetwork, NetworkSpec
from vae_anomaly.detectors.images.networks.residuals import MapScale
from vae_anomaly.detectors.images.tiles.blend import TileBlend, pool_tiles
from vae_anomaly.detectors.images.tiles.grid import TileGrid
from vae_anomaly.detectors.images.tiles.place import PlacedPicture, TilePlacing
from vae_anomaly.devices import device_of, exact_float32
from vae_anomaly.errors import ConfigError, ImageError

if TYPE_CHECKING:
    from vae_anomaly.detectors.images.detector import ImageVAEDetector
    from vae_anomaly.detectors.images.features.backbone import BackboneBank
    from vae_anomaly.progress import Progress


Said = TypeVar("Said")


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

    def grid_of(self, name: str, pixels: AnyArray) -> TileGrid:
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


class TilesSaid(NamedTuple):
    """What is said of tiles.

    Attributes
    ----------
    heat : Tensor of shape (N, g, g)
        The shown map: mean over the halves asked for, in sd of held-out normals.
    scored : Tensor of shape (N, g, g)
        The map that is scored, likewise; often the shown one.
    statistics : Tensor of shape (N, S)
    terms : Tensor of shape (N, 3), nats
        Reconstruction term, KL and the linear level's -log p; mean over the halves.
    """

    heat: Tensor
    scored: Tensor
    statistics: Tensor
    terms: Tensor


class TiledNetwork(nn.Module):
    """Two networks on tiles, what is usual at each place, and the scale of their maps.

    Parameters
    ----------
    specs : sequence of two NetworkSpec
    layout : TileLayout
    scored : str
        As `NetworkSpec.scored`: "shown" of models saved before the linear level was scored alone.
    bank : BackboneBank, optional
        Of both halves, in the place of the fixed bank.

    Attributes
    ----------
    halves : ModuleList of BankNetwork
        Each has seen the pictures of its own half, and is calibrated on those of the other.
    """

    def __init__(
        self,
        specs: Sequence[NetworkSpec],
        layout: TileLayout,
        scored: str = "shown",
        bank: BackboneBank | None = None,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.scored = scored
        self.halves = nn.ModuleList(BankNetwork(spec, bank) for spec in specs)
        seen = self._half(0).bank
        shape = (len(layout.grid()), seen.n_channels, seen.grid, seen.grid)
        n_positions = len(specs) if layout.aligned else 0
        self.positions = nn.ModuleList(TilePositions(shape) for _ in range(n_positions))
        self.scales = nn.ModuleList(MapScale() for _ in specs)
        n_scored = 0 if scored == "shown" else len(specs)
        self.scored_scales = nn.ModuleList(MapScale() for _ in range(n_scored))

    @property
    def spec(self) -> NetworkSpec:
        """Shapes of the first network, and which map is scored."""
        return replace(self._half(0).spec, scored=self.scored)

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` builds an empty network of the same shape from."""
        specs = [self._half(k).spec.to_dict() for k in range(len(self.halves))]
        return {"layout": asdict(self.layout), "halves": specs, "scored": self.scored}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], bank: BackboneBank | None = None) -> TiledNetwork:
        """Build an empty network."""
        specs = [NetworkSpec.from_dict(spec) for spec in values["halves"]]
        return cls(specs, TileLayout(**values["layout"]), values.get("scored", "shown"), bank)

    def set_scales(self, shown: AnyFloats, scored: AnyFloats) -> None:
        """Put each half's maps on the scale of the held-out normals that it judged.

        Parameters
        ----------
        shown, scored : ndarray of shape (K, 2)
            Mean and sd of each half's maps; ``scored`` is left out where there is one map only.
        """
        for scales, values in ((self.scales, shown), (self.scored_scales, scored)):
            for scale, (mean, spread) in zip(scales, values.tolist(), strict=False):
                cast("MapScale", scale).mean.fill_(mean)
                cast("MapScale", scale).spread.fill_(spread)

    def standardised(self, half: int, maps: Tensor, numbers: Tensor) -> Tensor:
        """Return the bank's maps of tiles as a half's network takes them."""
        if not self.layout.aligned:
            return maps
        standard: Tensor = self.positions[half](maps, numbers)
        return standard

    def forward(self, images: Tensor, numbers: Tensor, halves: Sequence[int]) -> TilesSaid:
        """Inspect tiles (N, C, T, T) that lie at the places ``numbers``."""
        features = self._half(0).bank(images)
        heat, scored, terms = [], [], []
        for k in halves:
            said = self._half(k).inspect(self._placed(k, features, numbers))
            heat.append(self.scales[k](said.heat))
            if self.scored != "shown":
                scored.append(self.scored_scales[k](said.scored))
            terms.append(torch.stack((said.nll, said.kl, said.linear_nll), 1))
        shown = torch.stack(heat).mean(0)
        return TilesSaid(
            shown,
            torch.stack(scored).mean(0) if scored else shown,
            features.statistics,
            torch.stack(terms).mean(0),
        )

    def grounds(self, halves: Sequence[int] = (0, 1)) -> tuple[float, float]:
        """Return what shown and scored map have where nothing is looked at: the usual."""
        both = (self.scales, self.scales if self.scored == "shown" else self.scored_scales)
        shown, scored = (
            float(np.mean([float(scales[k](torch.zeros(()))) for k in halves])) for scales in both
        )
        return shown, scored

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

    def _placed(self, k: int, features: BankOutput, numbers: Tensor) -> BankOutput:
        return BankOutput(self.standardised(k, features.maps, numbers), features.statistics)


@dataclass(frozen=True)
class TiledPicture:
    """What is said of one large picture.

    Attributes
    ----------
    placed : PlacedPicture
    grid : TileGrid
    heat, scored : ndarray of shape (gh, gw), float32
        The shown map and the scored one, in sd of held-out normals, where the others lie; often
        one and the same.
    statistics : ndarray of shape (S,), float64
        Mean over tiles.
    terms : ndarray of shape (3,), float64, nats
        Reconstruction term, KL and the linear level's -log p; mean over tiles.
    """

    placed: PlacedPicture
    grid: TileGrid
    heat: Floats32
    scored: Floats32
    statistics: Floats
    terms: Floats

    @property
    def inside(self) -> Bools:
        """Cells that are looked at, (gh, gw)."""
        return self.placed.inside(self.grid)

    def pooled(self, grounds: tuple[float, float]) -> Floats:
        """Return what the score is made of, (P or P + 1,), as `pool_pictures` of whole pictures.

        What is not looked at counts as the ``grounds`` of the shown and the scored map.
        """
        scored = self._pools(self.scored, grounds[1])
        if self.scored is self.heat:
            return scored
        return np.append(scored, self._pools(self.heat, grounds[0])[0])

    def _pools(self, maps: Floats32, ground: float) -> Floats:
        inside = self.inside
        if inside.all():
            return pool_tiles(maps, self.grid)
        return pool_tiles(np.where(inside, maps, ground), self.grid, inside)

    def maps(self, cells: tuple[int, int]) -> tuple[Floats32, Floats32]:
        """Return the shown map and the scored one as `on` does."""
        shown = self.on(self.heat, cells)
        return shown, shown if self.scored is self.heat else self.on(self.scored, cells)

    def on(self, heat: Floats32, cells: tuple[int, int]) -> Floats32:
        """Return a map where the picture came, 0 where nothing is looked at.

        On a grid of other cells it is the hottest of what falls into each.
        """
        seen = np.where(self.inside, heat, np.float32(0.0))
        back = self.placed.moved_back(seen, self.grid)
        if cells == back.shape:
            return back
        pooled = functional.adaptive_max_pool2d(torch.from_numpy(back)[None], cells)
        return np.asarray(pooled[0].numpy(), np.float32)


def tile_chunks(
    placed: PlacedPicture, grid: TileGrid, channels: int
) -> Iterator[tuple[Tensor, Tensor, int]]:
    """Yield eight tiles at a time, (8, C, T, T), their numbers, and how many of them are new.

    Tiles that show nothing but background are left out.

    Raises
    ------
    ImageError
        If pixels have no meaning; names the picture.
    """
    every = placed.tiles(grid)
    for start in range(0, len(every), CHUNK):
        numbers = every[start : start + CHUNK]
        crops = tile_pictures(placed.name, [grid.cut(placed.pixels, k) for k in numbers.tolist()])
        rows = [crops.prepared(k, grid.tile, channels) for k in range(len(crops))]
        images = np.stack(rows).transpose(0, 3, 1, 2)
        yield filled_up(images), filled_up(numbers), len(numbers)


def tile_pictures(name: str, crops: Sequence[AnyArray]) -> Pictures:
    """Return tiles as pictures that bear the name of the one they were cut from."""
    nothing = (None,) * len(crops)
    return Pictures((name,) * len(crops), tuple(crops), nothing, nothing)


def inspect_tiles(
    network: TiledNetwork, placed: PlacedPicture, halves: Sequence[int] = (0, 1)
) -> TiledPicture:
    """Inspect one large picture, eight tiles at a time.

    Raises
    ------
    ImageError
        If its size or its pixels cannot be used; names it.
    """
    grid, place = network.layout.grid_of(placed.name, placed.pixels), device_of(network)
    shown, scored, statistics, terms = TileBlend(grid), TileBlend(grid), [], []
    with torch.inference_mode(), exact_float32(place):
        for images, numbers, n in tile_chunks(placed, grid, network.spec.channels):
            said, own = network(images.to(place), numbers.to(place), halves), numbers[:n].tolist()
            shown.add(own, said.heat[:n].cpu().numpy())
            if network.scored != "shown":
                scored.add(own, said.scored[:n].cpu().numpy())
            statistics.append(said.statistics[:n].cpu().double().numpy())
            terms.append(said.terms[:n].cpu().double().numpy())
    heat = shown.map()
    means = (np.concatenate(parts).mean(axis=0) for parts in (statistics, terms))
    return TiledPicture(
        placed, grid, heat, heat if network.scored == "shown" else scored.map(), *means
    )


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
    cells, grounds = network.layout.grid().cells, network.grounds()

    def look(placed: PlacedPicture) -> tuple[Floats, Floats, Floats, Floats32, Floats32]:
        seen = inspect_tiles(network, placed)
        return (seen.pooled(grounds), seen.statistics, seen.terms, *seen.maps(cells))

    said = _each(detector, pictures, look, progress)
    heat = np.stack([one[3] for one in said])
    scored = heat if network.scored == "shown" else np.stack([one[4] for one in said])
    evidence = detector.image_score_(
        np.stack([one[0] for one in said]), np.stack([one[1] for one in said])
    )
    nll, kl, linear_nll = np.stack([one[2] for one in said]).T
    return examination(detector, pictures.ids, evidence, (nll, kl, linear_nll), (heat, scored))


def _each(
    detector: ImageVAEDetector,
    pictures: Pictures,
    look: Callable[[PlacedPicture], Said],
    progress: Progress,
) -> list[Said]:
    """Return what a look at each picture says, one at a time."""
    settled(detector)
    placing, faults, said = TilePlacing.of(detector), [], []
    for i, name in enumerate(pictures.ids):
        try:
            said.append(look(placing(name, pictures.pixels(i))))
        except ImageError as err:
            faults.append(err)
        progress("score", i + 1, len(pictures))
    refuse_faults(faults, len(pictures))
    return said


def _no_latents() -> ConfigError:
    return ConfigError(
        "A detector with tile_size= has latents for each tile, none for a picture. Train one "
        "without tile_size to reconstruct, embed or sample."
    )
