"""Fit a detector of large pictures to their tiles, in bounded memory and with honest p-values.

Every picture is decoded twice, alone. The first time a few of its tiles are drawn for training, and
all of them tell what is usual at each place. Pictures (whole groups) are divided into two halves;
each half's network is trained on tiles of its own pictures, and says, the second time, what the
map of every picture of the *other* half looks like. So each picture is judged by a network that saw
none of its tiles and of which no scale was fitted to it, save the last, two numbers for all.

A new picture gets the mean of both networks' maps, steadier than the ones that calibrate, so the
false-alarm rate errs to the low side: 2.8 and 3.6 % of good pictures at a stated 5 %
(``benchmarks/tile_pvalues.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor

from vae_anomaly.arrays import AnyArray, AnyFloats, Floats, Floats32, Ints
from vae_anomaly.detectors.images.features.backbone import BackboneBank
from vae_anomaly.detectors.images.features.filter_bank import FilterBank, blur
from vae_anomaly.detectors.images.features.plug_in import plug_in
from vae_anomaly.detectors.images.fit.bank import FittedNetwork, fit_bank_network
from vae_anomaly.detectors.images.fit.folds import N_FOLDS, assign_folds, evenly
from vae_anomaly.detectors.images.fit.maps import TrainingMaps, read_training_maps
from vae_anomaly.detectors.images.image_list import Pictures, new_digest, refuse_faults
from vae_anomaly.detectors.images.networks.bank import NetworkSpec
from vae_anomaly.detectors.images.parameters import chosen_preset
from vae_anomaly.detectors.images.pooling import POOL_SHARES
from vae_anomaly.detectors.images.tiles.network import (
    TiledNetwork,
    TileLayout,
    TilePositions,
    inspect_tiles,
    tile_chunks,
    tile_pictures,
)
from vae_anomaly.detectors.images.tiles.place import PlacedPicture, TilePlacing
from vae_anomaly.devices import device_of, torch_device
from vae_anomaly.errors import ImageError, NotEnoughDataError

if TYPE_CHECKING:
    from vae_anomaly.detectors.images.detector import ImageVAEDetector
    from vae_anomaly.detectors.images.tiles.grid import TileGrid
    from vae_anomaly.progress import Progress
    from vae_anomaly.vae.training import History

    Bank = FilterBank | BackboneBank

MAX_CELLS: Final = 512_000
"""Cells of the tiles that a half's network is trained on: 500 tiles of 256 pixels."""

_MIN_TILES: Final = 64
_HALVES: Final = 2
_MIN_GROUPS: Final = 4  # two for each half, which holds one of them out in turn
_SAME_PLACE: Final = 0.9
_LOOKED_AT: Final = 32  # pictures of which a user's backbone is shown a tile first
_SPREAD_PRIOR: Final = 5.0  # pictures that the common variance of a channel is worth


@dataclass(frozen=True)
class FittedTiles:
    """A network on tiles with what its honest calibration needs.

    Attributes
    ----------
    network : TiledNetwork
    pooled : ndarray of shape (n, P)
        Poolings of the map of every training picture, by the network that did not see it.
    heat : ndarray of shape (n, 1, 1)
        Greatest heat of each of these maps, which are not kept.
    held_out : ndarray of shape (n,)
        All of them.
    statistics : ndarray of shape (n, S)
    history : History
        Of the second half's network.
    metrics : dict of str to float
    fingerprint : dict
    """

    network: TiledNetwork
    pooled: Floats
    heat: Floats32
    held_out: Ints
    statistics: Floats
    history: History
    metrics: dict[str, float]
    fingerprint: dict[str, Any]
    latents: None = None


@torch.no_grad()
def fit_tiles(
    detector: ImageVAEDetector, pictures: Pictures, groups: AnyArray, progress: Progress
) -> FittedTiles:
    """Fit both halves' networks and judge every picture by the one that has not seen it.

    Raises
    ------
    ImageError
        If pictures cannot be read or are smaller than a tile; they are named.
    NotEnoughDataError
        If there are fewer than 4 groups.
    """
    n_groups = len(np.unique(groups))
    if n_groups < _MIN_GROUPS:
        raise NotEnoughDataError(
            f"A detector with tile_size= needs pictures of at least {_MIN_GROUPS} groups (parts, "
            f"lots), two for each half of its training; got {n_groups}. Give a finer groups=."
        )
    halves = assign_folds(groups, _HALVES, detector.random_state_ + 2)
    placing = TilePlacing.of(detector)
    spec, bank = _bank(detector, pictures, placing)
    device = torch_device(detector.device)
    cuts = _cut(detector, pictures, placing, halves, bank.to(device), progress)
    fits = [_fit_half(detector, spec, bank, cuts, k, groups, progress) for k in range(_HALVES)]
    specs = [fit.network.spec for fit in fits]
    lent = bank if isinstance(bank, BackboneBank) else None
    network = TiledNetwork(specs, cuts.layout, specs[0].scored, lent)
    for k, fit in enumerate(fits):
        network.halves[k] = fit.network
        if cuts.layout.aligned:
            network.positions[k] = cuts.moments[k].positions()
    network.eval().to(device)
    scores = _judge(network, pictures, placing, halves, progress)
    return FittedTiles(
        network=network,
        **scores,
        held_out=np.arange(len(halves)),
        history=fits[-1].history,
        metrics=_metrics(cuts, fits),
        fingerprint=cuts.fingerprint,
    )


class PlaceMoments:
    """Running mean and variance of maps at each place of the large picture (Welford).

    Parameters
    ----------
    shape : tuple of int
        ``(K, C, g, g)`` for K tiles.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.n = 0
        self.mean = torch.zeros(shape)
        self.squares = torch.zeros(shape)
        self.known = torch.zeros(shape[0], dtype=torch.bool)

    def add(self, place: Tensor, maps: Tensor) -> None:
        """Take in the maps (m, C, g, g) of a picture's tiles ``place`` (m,); it is the last of n.

        Every picture has the same tiles; those that are background in all of them never come.
        """
        self.known[place] = True
        change = maps - self.mean[place]
        self.mean[place] += change / self.n
        self.squares[place] += change * (maps - self.mean[place])

    def share_left(self) -> float:
        """Return how much of the variance is left when the place in the large picture is known.

        Returns
        -------
        float
            Expected squared error of predicting a new picture by the mean at the same place,
            beside that by the mean at the same place of any tile; mean over channels. Above 1 where
            a place says nothing.
        """
        within = self.squares[self.known] / max(self.n - 1, 1)
        total = within.mean(0) + self.mean[self.known].var(0, correction=0)
        known = within.mean(dim=(0, 2, 3)) * (1.0 + 1.0 / self.n)
        return float((known / total.mean(dim=(1, 2)).clamp(min=1e-12)).mean())

    def positions(self) -> TilePositions:
        """Return the places' means, and sds smoothed over neighbours and drawn to the channel's."""
        variance = blur(self.squares / max(self.n - 1, 1), 1.0)
        common = variance[self.known].mean(dim=(0, 2, 3), keepdim=True)
        drawn = (self.n * variance + _SPREAD_PRIOR * common) / (self.n + _SPREAD_PRIOR)
        positions = TilePositions(tuple(self.mean.shape))
        positions.mean.copy_(self.mean)
        positions.spread.copy_((drawn + 1e-3).sqrt())
        return positions

    def unseen(self, maps: Tensor, clean: Tensor, numbers: Tensor) -> Tensor:
        """Standardise training tiles as if their own pictures were not part of the means.

        Parameters
        ----------
        maps : Tensor of shape (m, C, g, g)
            Of tiles or of corrupted copies of them.
        clean : Tensor of the same shape
            Of the tiles themselves.
        numbers : Tensor of shape (m,)
        """
        positions = self.positions()
        own = (clean - self.mean[numbers]) / (self.n - 1)
        standard: Tensor = positions(maps, numbers) + own / positions.spread[numbers]
        return standard


@dataclass(frozen=True)
class _Cuts:
    """What the first look at the pictures leaves in memory.

    ``tiles`` are those drawn for training, ``owner`` (m,) the pictures they are of, ``numbers``
    (m,) where they lay; ``moments`` belong to the halves, and are none where sizes differ.
    """

    layout: TileLayout
    tiles: Pictures
    owner: Ints
    numbers: Ints
    halves: Ints
    moments: tuple[PlaceMoments, ...]
    fingerprint: dict[str, Any]


class _Cutter:
    """Take pictures one by one: draw tiles, and keep count of what is usual at each place."""

    def __init__(self, detector: ImageVAEDetector, halves: Ints, bank: Bank) -> None:
        self.detector, self.halves, self.bank = detector, halves, bank
        self.quota = _quotas(halves, self.bank.grid, detector.random_state_)
        self.layout: TileLayout | None = None
        self.moments: tuple[PlaceMoments, ...] = ()
        self.crops: list[tuple[int, int, AnyArray]] = []

    def take(self, i: int, placed: PlacedPicture) -> None:
        """Look at one picture."""
        height, width = placed.pixels.shape[:2]
        size, overlap = self.bank.image_size, self.detector.tile_overlap
        grid = TileLayout(size, overlap, height, width).grid_of(placed.name, placed.pixels)
        if self.layout is None:
            self.layout = TileLayout(size, overlap, height, width)
            shape = (len(grid), self.bank.n_channels, self.bank.grid, self.bank.grid)
            if self.detector.pose != "any":
                self.moments = tuple(PlaceMoments(shape) for _ in range(_HALVES))
        if (height, width) != (self.layout.height, self.layout.width):
            self.moments = ()
        self._draw(i, placed, grid)
        if self.moments:
            self._count(i, placed, grid)

    def _draw(self, i: int, placed: PlacedPicture, grid: TileGrid) -> None:
        generator = np.random.default_rng([self.detector.random_state_, 7, i])
        tiles = placed.tiles(grid)
        n = min(int(self.quota[i]), len(tiles))
        for number in np.sort(generator.choice(tiles, n, replace=False)).tolist():
            crop = grid.cut(placed.pixels, number).copy()  # not the whole picture
            self.crops.append((i, number, crop))

    def _count(self, i: int, placed: PlacedPicture, grid: TileGrid) -> None:
        moments = self.moments[self.halves[i]]
        moments.n += 1
        for images, numbers, n in tile_chunks(placed, grid, self.bank.channels):
            maps = self.bank(images.to(device_of(self.bank))).maps
            moments.add(numbers[:n], maps[:n].cpu())


def _quotas(halves: Ints, side: int, random_state: int) -> Ints:
    """Return how many tiles each picture gives, so that each half has as many as it may."""
    quota = np.zeros(len(halves), np.int64)
    most = max(_MIN_TILES, MAX_CELLS // side**2)
    for k in range(_HALVES):
        rows = np.random.default_rng([random_state, 8, k]).permutation(np.flatnonzero(halves == k))
        quota[rows] = most // len(rows)
        quota[rows[: most % len(rows)]] += 1
    return quota


def _bank(
    detector: ImageVAEDetector, pictures: Pictures, placing: TilePlacing
) -> tuple[NetworkSpec, Bank]:
    """Return what both halves see tiles through, and the shapes of their networks.

    A user's backbone is shown a tile of each of some pictures first, to learn its channels' scales.
    """
    assert detector.tile_size is not None  # noqa: S101 - the caller asked for tiles
    preset = chosen_preset(detector)
    spec = NetworkSpec(
        "bank", detector.tile_size, detector.channels_, detector.latent_dim or 0,
        (preset.n_networks + 1) // _HALVES, preset.width,
    )  # fmt: skip
    if detector.features is None:
        return spec, FilterBank(spec.image_size, spec.channels)
    rows = evenly(len(pictures), _LOOKED_AT)
    tiles = [_any_tile(detector, pictures, placing, i) for i in rows.tolist()]
    crops = tile_pictures("training", [tile for tile in tiles if tile is not None])
    if not len(crops):
        placing(pictures.ids[0], pictures.pixels(0))  # raises what is wrong with it
    return plug_in(detector.features, detector.features_weights, spec, crops)


def _any_tile(
    detector: ImageVAEDetector, pictures: Pictures, placing: TilePlacing, i: int
) -> AnyArray | None:
    """Return one tile of a picture; None of one that cannot be used, which is told later."""
    generator = np.random.default_rng([detector.random_state_, 9, i])
    try:
        placed = placing(pictures.ids[i], pictures.pixels(i))
        height, width = placed.pixels.shape[:2]
        layout = TileLayout(detector.tile_size or 0, detector.tile_overlap, height, width)
        grid = layout.grid_of(placed.name, placed.pixels)
    except ImageError:
        return None
    return grid.cut(placed.pixels, int(generator.choice(placed.tiles(grid)))).copy()


def _cut(
    detector: ImageVAEDetector,
    pictures: Pictures,
    placing: TilePlacing,
    halves: Ints,
    bank: Bank,
    progress: Progress,
) -> _Cuts:
    cutter, digest = _Cutter(detector, halves, bank), new_digest()
    faults: list[ImageError] = []
    for i, name in enumerate(pictures.ids):
        try:
            pixels = pictures.pixels(i)
            cutter.take(i, placing(name, pixels))
        except ImageError as err:
            faults.append(err)
            continue
        digest.update(name.encode() + b"\0" + np.ascontiguousarray(pixels).data)
        progress("tiles", i + 1, len(pictures))
    refuse_faults(faults, len(pictures))
    assert cutter.layout is not None  # noqa: S101 - there is at least one picture
    owner, numbers, crops = zip(*cutter.crops, strict=True)
    tiles = Pictures(
        tuple(f"{pictures.ids[i]}#{number}" for i, number, _ in cutter.crops),
        crops, (None,) * len(crops), (None,) * len(crops),
    )  # fmt: skip
    left = [moments.share_left() for moments in cutter.moments]
    aligned = bool(left) and float(np.mean(left)) < _SAME_PLACE
    return _Cuts(
        replace(cutter.layout, aligned=aligned),
        tiles,
        np.array(owner),
        np.array(numbers),
        halves,
        cutter.moments if aligned else (),
        pictures.fingerprint(digest),
    )


def _fit_half(
    detector: ImageVAEDetector,
    spec: NetworkSpec,
    bank: Bank,
    cuts: _Cuts,
    k: int,
    groups: AnyArray,
    progress: Progress,
) -> FittedNetwork:
    """Fit a network to the tiles of one half's pictures."""
    preset, seed = chosen_preset(detector), detector.random_state_
    preset = replace(preset, n_networks=spec.n_networks)
    rows = np.flatnonzero(cuts.halves[cuts.owner] == k)
    report = _half_of(progress, k)
    device = torch_device(detector.device)
    tiles = cuts.tiles.take(rows)
    data = read_training_maps(tiles, bank.to(device), preset.copies, seed + k, report)
    if cuts.layout.aligned:
        data = _placed(data, cuts.moments[k], torch.from_numpy(cuts.numbers[rows]))
    own = groups[cuts.owner[rows]]
    lent = bank if isinstance(bank, BackboneBank) else None  # its maps cannot be turned
    pose = "fixed" if cuts.layout.aligned or lent else detector.pose
    folds = assign_folds(own, N_FOLDS, seed + k)
    return fit_bank_network(
        data, own, folds, spec, preset, seed + 10 * k, report,
        pose=pose, bank=lent and lent.cpu(), device=device,
    )  # fmt: skip


def _placed(data: TrainingMaps, moments: PlaceMoments, numbers: Tensor) -> TrainingMaps:
    """Put the maps of tiles and of their corrupted copies in units of what is usual there."""
    corrupted = data.corrupted.clone()
    for copy, maps in enumerate(data.corrupted):
        corrupted[copy] = moments.unseen(maps, data.maps, numbers)
    return replace(data, maps=moments.unseen(data.maps, data.maps, numbers), corrupted=corrupted)


def _judge(
    network: TiledNetwork,
    pictures: Pictures,
    placing: TilePlacing,
    halves: Ints,
    progress: Progress,
) -> dict[str, Any]:
    """Judge every picture by the other half's network, and set the scales by what they say."""
    rows, shown, scored = [], _HalfScales(), _HalfScales()
    for i, name in enumerate(pictures.ids):
        judge = 1 - int(halves[i])
        seen = inspect_tiles(network, placing(name, pictures.pixels(i)), (judge,))
        heat, inside = seen.heat, seen.inside
        shown.add(judge, heat[inside])
        scored.add(judge, seen.scored[inside])
        pooled = seen.pooled(network.grounds((judge,)))
        rows.append((pooled, heat[inside].max(keepdims=True), seen.statistics))
        progress("calibrate", i + 1, len(pictures))
    pooled, peaks, statistics = (np.stack(parts) for parts in zip(*rows, strict=True))
    network.set_scales(shown.values, scored.values)
    heat = shown.standard(peaks, 1 - halves)[:, :, None].astype(np.float32)
    of_scored, of_shown = np.split(pooled, [len(POOL_SHARES)], axis=1)
    pooled = np.hstack(
        [scored.standard(of_scored, 1 - halves), shown.standard(of_shown, 1 - halves)]
    )
    return {"pooled": pooled, "heat": heat, "statistics": statistics}


class _HalfScales:
    """Mean and sd of the maps that each half's network judged, cell by cell."""

    def __init__(self) -> None:
        self.sums = np.zeros((_HALVES, 3))  # cells, heat, heat squared

    def add(self, judge: int, cells: Floats32) -> None:
        heat = cells.astype(np.float64)
        self.sums[judge] += heat.size, heat.sum(), np.square(heat).sum()

    @property
    def values(self) -> Floats:
        """Mean and sd of each half, (2, 2)."""
        mean = self.sums[:, 1] / self.sums[:, 0]
        square = self.sums[:, 2] / self.sums[:, 0]
        return np.stack((mean, np.sqrt(np.maximum(square - mean**2, 1e-12))), axis=1)

    def standard(self, rows: AnyFloats, judges: Ints) -> Floats:
        """Return numbers (n, P) of pictures on the scale of the half that judged each."""
        mean, spread = self.values[judges].T[:, :, None]
        return np.asarray((rows - mean) / spread, np.float64)


def _metrics(cuts: _Cuts, fits: list[FittedNetwork]) -> dict[str, float]:
    """Return the mean of both networks' figures, and how pictures were cut."""
    names = [name for name in fits[0].metrics if all(name in fit.metrics for fit in fits)]
    means = {name: float(np.mean([fit.metrics[name] for fit in fits])) for name in names}
    return {
        **means,
        "tiles_per_picture": float(len(cuts.layout.grid())),
        "tiles_trained_on": float(len(cuts.tiles)),
        "aligned": float(cuts.layout.aligned),
    }


def _half_of(progress: Progress, k: int) -> Progress:
    """Report the steps of both halves as one stage."""

    def report(stage: str, done: int, total: int) -> None:
        progress(stage, k * total + done, _HALVES * total)

    return report
