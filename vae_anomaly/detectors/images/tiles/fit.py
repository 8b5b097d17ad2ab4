"""Fit a detector of large images to their tiles, in bounded memory and with honest p-values.

Every image is decoded twice, alone. The first time a few of its tiles are drawn for training, and
all of them tell what is usual at each place. Images (whole groups) are divided into two halves;
each half's network is trained on tiles of its own images, and says, the second time, what the
map of every image of the *other* half looks like. So each image is judged by a network that saw
none of its tiles and of which no scale was fitted to it, save the last, two numbers for all.

A new image gets the mean of both networks' maps, steadier than the ones that calibrate, so the
false-alarm rate errs to the low side: 2.8 and 3.6 % of good images at a stated 5 %
(``benchmarks/tile_pvalues.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Final

import numpy as np
import torch
from torch import Tensor

from vae_anomaly.arrays import AnyArray, AnyFloats, Floats, Floats32, Ints
from vae_anomaly.detectors.folds import assign_folds
from vae_anomaly.detectors.images.fit.bank import BankTask, Fitted, fit_bank_network
from vae_anomaly.detectors.images.fit.maps import (
    Bank,
    TrainingMaps,
    chosen_bank,
    few_chunks,
    read_training_maps,
)
from vae_anomaly.detectors.images.fit.training_set import N_FOLDS, TrainingSet
from vae_anomaly.detectors.images.image_list import ImageList, look_at, refuse_faults
from vae_anomaly.detectors.images.networks.bank import BankNetwork, NetworkSpec
from vae_anomaly.detectors.images.score.pooling import POOL_SHARES
from vae_anomaly.detectors.images.settings import ImageSettings
from vae_anomaly.detectors.images.tiles.examine import (
    PlacedImage,
    TilePlacing,
    inspect_tiles,
    tile_chunks,
    tile_images,
)
from vae_anomaly.detectors.images.tiles.grid import TileGrid
from vae_anomaly.detectors.images.tiles.network import PlaceMoments, TiledNetwork, TileLayout
from vae_anomaly.devices import device_of, torch_device
from vae_anomaly.errors import ImageError, NotEnoughDataError
from vae_anomaly.progress import Progress, part_of

_MAX_PIXELS: Final = 500 * 256**2
"""Pixels of the tiles that a half's network is trained on: 500 tiles of 256 pixels."""

_MIN_TILES: Final = 64
_HALVES: Final = 2
_MIN_GROUPS: Final = 4  # two for each half, which holds one of them out in turn
_SAME_PLACE: Final = 0.9
_LOOKED_AT: Final = 32  # images of which a user's backbone is shown a tile first


@torch.no_grad()
def fit_tiles(
    settings: ImageSettings, data: TrainingSet, random_state: int, progress: Progress
) -> Fitted[TiledNetwork]:
    """Fit both halves' networks and judge every image by the one that has not seen it.

    Raises
    ------
    ImageError
        If images cannot be read or are smaller than a tile; they are named.
    NotEnoughDataError
        If there are fewer than 4 groups.
    """
    n_groups = len(np.unique(data.groups))
    if n_groups < _MIN_GROUPS:
        raise NotEnoughDataError(
            f"A detector with tile_size= needs images of at least {_MIN_GROUPS} groups (parts, "
            f"lots), two for each half of its training; got {n_groups}. Give a finer groups=."
        )
    task = _TileTask(settings, data, random_state)
    size, n_networks = settings.tile_size or 0, (settings.work.n_networks + 1) // _HALVES
    spec, bank = chosen_bank(settings, size, data.channels, n_networks, _few_tiles(task))
    cuts = _cut(task, bank.to(task.device), progress)
    fits = [_fit_half(task, spec, bank, cuts, k, progress) for k in range(_HALVES)]
    network = _joined(fits, cuts).to(task.device)
    pooled, peaks, statistics = _judge(network, task, progress)
    return Fitted(
        network=network,
        pooled=pooled,
        heatmap=peaks,
        held_out=np.arange(len(data.images)),
        statistics=statistics,
        history=fits[-1].history,
        metrics=_metrics(cuts, fits),
        fingerprint=cuts.fingerprint,
    )


def tile_halves(groups: AnyArray, random_state: int) -> Ints:
    """Return the half of each image, (n,): the other half's network has not seen it."""
    return assign_folds(groups, _HALVES, random_state + 2)


@dataclass(frozen=True)
class _TileTask:
    """What is to be trained, and on what."""

    settings: ImageSettings
    data: TrainingSet
    random_state: int

    @cached_property
    def halves(self) -> Ints:
        """Half of each image, (n,)."""
        return tile_halves(self.data.groups, self.random_state)

    @property
    def placing(self) -> TilePlacing:
        """What is done to every image before it is cut."""
        return TilePlacing(self.data.images.placing, self.data.channels)

    @property
    def device(self) -> torch.device:
        """Where networks are trained."""
        return torch_device(self.settings.device)

    def layout(self, pixels: AnyArray) -> TileLayout:
        """Return how images of the size of this one are cut."""
        height, width = pixels.shape[:2]
        size, overlap = self.settings.tile_size or 0, self.settings.tile_overlap
        return TileLayout(size, overlap, height, width, cell=self.settings.cell)

    def placed(self, i: int) -> PlacedImage:
        """Return one image where the others lie."""
        images = self.data.images
        return self.placing(images.ids[i], images.pixels(i))


@dataclass(frozen=True)
class _Cuts:
    """What the first look at the images leaves in memory.

    ``tiles`` are those drawn for training, ``owner`` (m,) the images they are of, ``numbers``
    (m,) where they lay; ``moments`` belong to the halves, and are none where sizes differ.
    """

    layout: TileLayout
    tiles: ImageList
    owner: Ints
    numbers: Ints
    moments: tuple[PlaceMoments, ...]
    fingerprint: dict[str, int | str]


class _Cutter:
    """Take images one by one: draw tiles, and keep count of what is usual at each place."""

    def __init__(self, task: _TileTask, bank: Bank) -> None:
        self.task, self.bank = task, bank
        self.quota = _quotas(task.halves, bank.image_size, task.random_state)
        self.layout: TileLayout | None = None
        self.moments: tuple[PlaceMoments, ...] = ()
        self.crops: list[tuple[int, int, AnyArray]] = []

    def take(self, i: int, placed: PlacedImage) -> None:
        """Look at one image."""
        layout = self.task.layout(placed.pixels)
        grid = layout.grid_of(placed.name, placed.pixels)
        if self.layout is None:
            self.layout = layout
            shape = (len(grid), self.bank.n_channels, self.bank.grid, self.bank.grid)
            if self.task.settings.pose != "any":
                self.moments = tuple(PlaceMoments(shape) for _ in range(_HALVES))
        if (layout.height, layout.width) != (self.layout.height, self.layout.width):
            self.moments = ()
        self._draw(i, placed, grid)
        if self.moments:
            self._count(i, placed, grid)

    def _draw(self, i: int, placed: PlacedImage, grid: TileGrid) -> None:
        generator = np.random.default_rng([self.task.random_state, 7, i])
        tiles = placed.tiles(grid)
        n = min(int(self.quota[i]), len(tiles))
        for number in np.sort(generator.choice(tiles, n, replace=False)).tolist():
            crop = grid.cut(placed.pixels, number).copy()  # not the whole image
            self.crops.append((i, number, crop))

    def _count(self, i: int, placed: PlacedImage, grid: TileGrid) -> None:
        moments = self.moments[self.task.halves[i]]
        moments.n += 1
        for images, numbers, n in tile_chunks(placed, grid, self.bank.channels):
            maps = self.bank(images.to(device_of(self.bank))).maps
            moments.add(numbers[:n], maps[:n].cpu())


def _quotas(halves: Ints, side: int, random_state: int) -> Ints:
    """Return how many tiles of a side each image gives, so that each half has as many as it may."""
    quota = np.zeros(len(halves), np.int64)
    most = max(_MIN_TILES, _MAX_PIXELS // side**2)
    for k in range(_HALVES):
        rows = np.random.default_rng([random_state, 8, k]).permutation(np.flatnonzero(halves == k))
        quota[rows] = most // len(rows)
        quota[rows[: most % len(rows)]] += 1
    return quota


def _few_tiles(task: _TileTask) -> Iterator[Tensor]:
    """Yield a tile of each of a few images."""
    tiles = look_at(task.data.images, lambda i: _any_tile(task, i), _LOOKED_AT)
    if not tiles:
        task.placed(0)  # raises what is wrong with it
    crops = tile_images("training", tiles)
    yield from few_chunks(crops, task.settings.tile_size or 0, task.data.channels)


def _any_tile(task: _TileTask, i: int) -> AnyArray:
    generator = np.random.default_rng([task.random_state, 9, i])
    placed = task.placed(i)
    grid = task.layout(placed.pixels).grid_of(placed.name, placed.pixels)
    return grid.cut(placed.pixels, int(generator.choice(placed.tiles(grid)))).copy()


def _cut(task: _TileTask, bank: Bank, progress: Progress) -> _Cuts:
    images, cutter, digest = task.data.images, _Cutter(task, bank), sha256()
    faults: list[ImageError] = []
    for i, name in enumerate(images.ids):
        try:
            pixels = images.pixels(i)
            cutter.take(i, task.placing(name, pixels))
        except ImageError as err:
            faults.append(err)
            continue
        digest.update(name.encode() + b"\0" + np.ascontiguousarray(pixels).data)
        progress("tiles", i + 1, len(images))
    refuse_faults(faults, len(images))
    assert cutter.layout is not None  # noqa: S101 - there is at least one image
    owner, numbers, crops = zip(*cutter.crops, strict=True)
    names = tuple(f"{images.ids[i]}#{number}" for i, number, _ in cutter.crops)
    nothing = (None,) * len(crops)
    left = [moments.share_left() for moments in cutter.moments]
    aligned = bool(left) and float(np.mean(left)) < _SAME_PLACE
    return _Cuts(
        replace(cutter.layout, aligned=aligned),
        ImageList(names, crops, nothing, nothing),
        np.array(owner),
        np.array(numbers),
        cutter.moments if aligned else (),
        images.fingerprint(digest.hexdigest()),
    )


def _fit_half(
    task: _TileTask, spec: NetworkSpec, bank: Bank, cuts: _Cuts, k: int, progress: Progress
) -> Fitted[BankNetwork]:
    """Fit a network to the tiles of one half's images."""
    work = replace(task.settings.work, n_networks=spec.n_networks)
    rows, seed = np.flatnonzero(task.halves[cuts.owner] == k), task.random_state
    tiles, report = cuts.tiles.take(rows), part_of(progress, k, _HALVES)
    data = read_training_maps(tiles, bank.to(task.device), work.copies, seed + k, report)
    if cuts.layout.aligned:
        data = _placed(data, cuts.moments[k], torch.from_numpy(cuts.numbers[rows]))
    groups = task.data.groups[cuts.owner[rows]]
    pose = "fixed" if cuts.layout.aligned else task.settings.pose
    fit = BankTask(spec, work, seed + 10 * k, pose, bank.cpu(), task.device)
    return fit_bank_network(data, groups, assign_folds(groups, N_FOLDS, seed + k), fit, report)


def _joined(fits: list[Fitted[BankNetwork]], cuts: _Cuts) -> TiledNetwork:
    """Return both halves' networks as one, its scales still those of nobody."""
    halves = [fit.network for fit in fits]
    network = TiledNetwork(halves, cuts.layout, halves[0].spec.scored)
    for k, moments in enumerate(cuts.moments):
        network.positions[k] = moments.positions()
    return network.eval()


def _placed(data: TrainingMaps, moments: PlaceMoments, numbers: Tensor) -> TrainingMaps:
    """Put the maps of tiles and of their corrupted copies in units of what is usual there."""
    corrupted = data.corrupted.clone()
    for copy, maps in enumerate(data.corrupted):
        corrupted[copy] = moments.unseen(maps, data.maps, numbers)
    return replace(data, maps=moments.unseen(data.maps, data.maps, numbers), corrupted=corrupted)


def _judge(
    network: TiledNetwork, task: _TileTask, progress: Progress
) -> tuple[Floats, Floats32, Floats]:
    """Judge every image by the other half's network, and set the scales by what they say.

    Returns poolings, greatest heat and statistics of every image.
    """
    rows, shown, scored = [], _HalfScales(), _HalfScales()
    for i, half in enumerate(task.halves.tolist()):
        judge = 1 - half
        tiles = inspect_tiles(network, task.placed(i), (judge,))
        inside = tiles.inside
        shown.add(judge, tiles.heatmap[inside])
        scored.add(judge, tiles.score_map[inside])
        pooled = tiles.pooled(network.grounds((judge,)))
        rows.append((pooled, tiles.heatmap[inside].max(keepdims=True), tiles.statistics))
        progress("calibrate", i + 1, len(task.halves))
    pooled, peaks, statistics = (np.stack(parts) for parts in zip(*rows, strict=True))
    network.set_scales(shown.values, scored.values)
    judges = 1 - task.halves
    heat = shown.standard(peaks, judges)[:, :, None].astype(np.float32)
    of_scored, of_shown = np.split(pooled, [len(POOL_SHARES)], axis=1)
    pooled = np.hstack([scored.standard(of_scored, judges), shown.standard(of_shown, judges)])
    return pooled, heat, statistics


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
        """Return numbers (n, P) of images on the scale of the half that judged each."""
        mean, spread = self.values[judges].T[:, :, None]
        return np.asarray((rows - mean) / spread, np.float64)


def _metrics(cuts: _Cuts, fits: list[Fitted[BankNetwork]]) -> dict[str, float]:
    """Return the mean of both networks' figures, and how images were cut."""
    names = [name for name in fits[0].metrics if all(name in fit.metrics for fit in fits)]
    means = {name: float(np.mean([fit.metrics[name] for fit in fits])) for name in names}
    return {
        **means,
        "tiles_per_image": float(len(cuts.layout.grid())),
        "tiles_trained_on": float(len(cuts.tiles)),
        "aligned": float(cuts.layout.aligned),
    }
