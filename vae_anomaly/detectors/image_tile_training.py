"""Fit a detector of large pictures to their tiles, in bounded memory and with honest p-values.

Every picture is decoded twice, alone. The first time a few of its tiles are drawn for training, and
all of them tell what is usual at each place. Pictures (whole groups) are divided into two halves;
each half's network is trained on tiles of its own pictures, and says, the second time, what the
map of every picture of the *other* half looks like. So each picture is judged by a network that saw
none of its tiles and of which no scale was fitted to it, save the last, two numbers for all.

A new picture gets the mean of both networks' maps, a little steadier than the ones that calibrate,
so the false-alarm rate errs to the low side.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor

from vae_anomaly.detectors._image_parameters import chosen_preset
from vae_anomaly.detectors.image_folds import N_FOLDS, assign_folds
from vae_anomaly.detectors.image_network import NetworkSpec
from vae_anomaly.detectors.image_source import Pictures, new_digest, refuse_faults
from vae_anomaly.detectors.image_tiles import (
    TiledNetwork,
    TileLayout,
    TilePositions,
    inspect_tiles,
    tile_chunks,
)
from vae_anomaly.detectors.image_training import FittedNetwork, fit_bank_network
from vae_anomaly.detectors.image_training_maps import TrainingMaps, read_training_maps
from vae_anomaly.devices import torch_device
from vae_anomaly.errors import ImageError, NotEnoughDataError
from vae_anomaly.features import FilterBank, blur

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vae_anomaly.data.tiling import TileGrid
    from vae_anomaly.detectors.image import ImageVAEDetector
    from vae_anomaly.progress import Progress
    from vae_anomaly.training import History

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

__all__ = ["MAX_CELLS", "FittedTiles", "fit_tiles"]

MAX_CELLS: Final = 512_000
"""Cells of the tiles that a half's network is trained on: 500 tiles of 256 pixels."""

_MIN_TILES: Final = 64
_HALVES: Final = 2
_MIN_GROUPS: Final = 4  # two for each half, which holds one of them out in turn
_SAME_PLACE: Final = 0.9
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
    heat: NDArray[np.float32]
    held_out: Ints
    statistics: Floats
    history: History
    metrics: dict[str, float]
    fingerprint: dict[str, Any]
    latents: None = None


@torch.no_grad()
def fit_tiles(
    detector: ImageVAEDetector, pictures: Pictures, groups: NDArray[Any], progress: Progress
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
    cuts = _cut(detector, pictures, halves, progress)
    fits = [_fit_half(detector, cuts, k, groups, progress) for k in range(_HALVES)]
    network = TiledNetwork([fit.network.spec for fit in fits], cuts.layout)
    for k, fit in enumerate(fits):
        network.halves[k] = fit.network
        if cuts.layout.aligned:
            network.positions[k] = cuts.moments[k].positions()
    network.to(torch_device(detector.device))
    return _judged(network.eval(), pictures, halves, cuts, fits, progress)


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

    def add(self, start: int, maps: Tensor) -> None:
        """Take in the maps (m, C, g, g) of a picture's tiles start, start + 1, ...; last of n."""
        place = slice(start, start + len(maps))
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
        within = self.squares / max(self.n - 1, 1)
        total = within.mean(0) + self.mean.var(0, correction=0)
        known = within.mean(dim=(0, 2, 3)) * (1.0 + 1.0 / self.n)
        return float((known / total.mean(dim=(1, 2)).clamp(min=1e-12)).mean())

    def positions(self) -> TilePositions:
        """Return the places' means, and sds smoothed over neighbours and drawn to the channel's."""
        variance = blur(self.squares / max(self.n - 1, 1), 1.0)
        common = variance.mean(dim=(0, 2, 3), keepdim=True)
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

    def __init__(self, detector: ImageVAEDetector, halves: Ints) -> None:
        assert detector.tile_size is not None  # noqa: S101 - the caller asked for tiles
        self.detector, self.halves = detector, halves
        self.bank = FilterBank(detector.tile_size, detector.channels_)
        self.quota = _quotas(halves, self.bank.grid, detector.random_state_)
        self.layout: TileLayout | None = None
        self.moments: tuple[PlaceMoments, ...] = ()
        self.crops: list[tuple[int, int, NDArray[Any]]] = []

    def take(self, i: int, name: str, pixels: NDArray[Any]) -> None:
        """Look at one picture."""
        height, width = pixels.shape[:2]
        size, overlap = self.bank.image_size, self.detector.tile_overlap
        grid = TileLayout(size, overlap, height, width).grid_of(name, pixels)
        if self.layout is None:
            self.layout = TileLayout(size, overlap, height, width)
            shape = (len(grid), self.bank.n_channels, self.bank.grid, self.bank.grid)
            if self.detector.pose != "any":
                self.moments = tuple(PlaceMoments(shape) for _ in range(_HALVES))
        if (height, width) != (self.layout.height, self.layout.width):
            self.moments = ()
        self._draw(i, pixels, grid)
        if self.moments:
            self._count(i, name, pixels, grid)

    def _draw(self, i: int, pixels: NDArray[Any], grid: TileGrid) -> None:
        generator = np.random.default_rng([self.detector.random_state_, 7, i])
        n = min(int(self.quota[i]), len(grid))
        for number in np.sort(generator.choice(len(grid), n, replace=False)).tolist():
            self.crops.append((i, number, grid.cut(pixels, number).copy()))  # not the whole picture

    def _count(self, i: int, name: str, pixels: NDArray[Any], grid: TileGrid) -> None:
        moments = self.moments[self.halves[i]]
        moments.n += 1
        for images, numbers, n in tile_chunks(name, pixels, grid, self.bank.channels):
            moments.add(int(numbers[0]), self.bank(images[:n]).maps)


def _quotas(halves: Ints, side: int, random_state: int) -> Ints:
    """Return how many tiles each picture gives, so that each half has as many as it may."""
    quota = np.zeros(len(halves), np.int64)
    most = max(_MIN_TILES, MAX_CELLS // side**2)
    for k in range(_HALVES):
        rows = np.random.default_rng([random_state, 8, k]).permutation(np.flatnonzero(halves == k))
        quota[rows] = most // len(rows)
        quota[rows[: most % len(rows)]] += 1
    return quota


def _cut(detector: ImageVAEDetector, pictures: Pictures, halves: Ints, progress: Progress) -> _Cuts:
    cutter, digest = _Cutter(detector, halves), new_digest()
    faults: list[ImageError] = []
    for i, name in enumerate(pictures.ids):
        try:
            pixels = pictures.pixels(i)
            cutter.take(i, name, pixels)
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
    detector: ImageVAEDetector, cuts: _Cuts, k: int, groups: NDArray[Any], progress: Progress
) -> FittedNetwork:
    """Fit a network to the tiles of one half's pictures."""
    preset, seed = chosen_preset(detector), detector.random_state_
    preset = replace(preset, n_networks=(preset.n_networks + 1) // _HALVES)
    spec = NetworkSpec(
        "bank", cuts.layout.tile_size, detector.channels_, detector.latent_dim or 0,
        preset.n_networks, preset.width,
    )  # fmt: skip
    rows = np.flatnonzero(cuts.halves[cuts.owner] == k)
    report = _half_of(progress, k)
    device = torch_device(detector.device)
    bank = FilterBank(spec.image_size, spec.channels).to(device)
    data = read_training_maps(cuts.tiles.take(rows), bank, preset.copies, seed + k, report)
    if cuts.layout.aligned:
        data = _placed(data, cuts.moments[k], torch.from_numpy(cuts.numbers[rows]))
    own = groups[cuts.owner[rows]]
    pose = "fixed" if cuts.layout.aligned else detector.pose
    folds = assign_folds(own, N_FOLDS, seed + k)
    return fit_bank_network(
        data, own, folds, spec, preset, seed + 10 * k, report, pose=pose, device=device
    )


def _placed(data: TrainingMaps, moments: PlaceMoments, numbers: Tensor) -> TrainingMaps:
    """Put the maps of tiles and of their corrupted copies in units of what is usual there."""
    corrupted = data.corrupted.clone()
    for copy, maps in enumerate(data.corrupted):
        corrupted[copy] = moments.unseen(maps, data.maps, numbers)
    return replace(data, maps=moments.unseen(data.maps, data.maps, numbers), corrupted=corrupted)


def _judged(
    network: TiledNetwork,
    pictures: Pictures,
    halves: Ints,
    cuts: _Cuts,
    fits: list[FittedNetwork],
    progress: Progress,
) -> FittedTiles:
    """Judge every picture by the other half's network, and set the scales by what they say."""
    rows, sums = [], np.zeros((_HALVES, 3))  # cells, heat, heat squared
    for i, name in enumerate(pictures.ids):
        judge = 1 - int(halves[i])
        seen = inspect_tiles(network, name, pictures.pixels(i), (judge,))
        heat = seen.heat.astype(np.float64)
        sums[judge] += heat.size, heat.sum(), np.square(heat).sum()
        rows.append((np.append(seen.pooled, heat.max()), seen.statistics))
        progress("calibrate", i + 1, len(pictures))
    values, statistics = (np.stack(parts) for parts in zip(*rows, strict=True))
    mean = sums[:, 1] / sums[:, 0]
    spread = np.sqrt(np.maximum(sums[:, 2] / sums[:, 0] - mean**2, 1e-12))
    network.set_scales(mean.tolist(), spread.tolist())
    values = (values - mean[1 - halves][:, None]) / spread[1 - halves][:, None]
    return FittedTiles(
        network,
        values[:, :-1],
        values[:, -1:, None].astype(np.float32),
        np.arange(len(values)),
        statistics,
        fits[-1].history,
        _metrics(cuts, fits),
        cuts.fingerprint,
    )


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
