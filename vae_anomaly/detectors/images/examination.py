"""One pass over images: full chunks in, what is said of each image out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
import pandas as pd
import torch

from vae_anomaly.arrays import AnyFloats, AnyInts, Bools, Floats, Floats32, Ints
from vae_anomaly.detectors.images.conditions import condition_codes
from vae_anomaly.detectors.images.features.octaves import CELL
from vae_anomaly.detectors.images.fine_places import FinePlaces
from vae_anomaly.detectors.images.image_list import ImageList, chunk_on, padded
from vae_anomaly.detectors.images.model import ImageModel
from vae_anomaly.detectors.images.networks.bank import NetworkOutput, combined
from vae_anomaly.detectors.images.place.placing import Placing
from vae_anomaly.detectors.images.place.registration import shift_maps
from vae_anomaly.detectors.images.score.earlier import EarlierEvidence
from vae_anomaly.detectors.images.score.evidence import ImageEvidence
from vae_anomaly.detectors.images.score.image_score import ImageScore
from vae_anomaly.detectors.images.score.pooling import pool_maps_of_images
from vae_anomaly.detectors.images.score.words import UNSPECIFIC
from vae_anomaly.detectors.images.tiles.examine import (
    PlacedImage,
    TilePlacing,
    inspect_tiles,
    look_at_each,
)
from vae_anomaly.detectors.images.tiles.network import TiledNetwork
from vae_anomaly.devices import exact_float32, to_device
from vae_anomaly.progress import Progress, null_progress
from vae_anomaly.scoring.conformal import ConformalCalibration
from vae_anomaly.words import names_of, number_of, verb_for

logger = logging.getLogger(__name__)

Seen: TypeAlias = tuple[AnyFloats, AnyFloats, AnyFloats | None, AnyInts | None]
"""Poolings of maps, statistics of whole images, peaks of fine detail, materials; N rows each."""

_SUMS: Final = frozenset({"negative_elbo", "local", "fine", "raw_score"})
"""Columns of the evidence that say nothing but what others say."""


@dataclass(frozen=True)
class WholeImage:
    """What is said of N whole images, beside their maps.

    Attributes
    ----------
    words : tuple of str
        How each differs from good images.
    leads : ndarray of shape (N,), bool
        Whether it says more than the map, or is certain, and the words say what.
    is_alone : ndarray of shape (N,), bool
        Whether it has made the raw score by itself; never of earlier models, which added up.
    is_notable : ndarray of shape (N,), bool
        Whether it is rarer than in 99 of 100 good images.
    """

    words: tuple[str, ...]
    leads: Bools
    is_alone: Bools
    is_notable: Bools

    def take(self, rows: AnyInts) -> WholeImage:
        """Return what is said of some of the images, in the order of ``rows``."""
        words = tuple(self.words[i] for i in rows.tolist())
        return WholeImage(words, self.leads[rows], self.is_alone[rows], self.is_notable[rows])


@dataclass(frozen=True)
class ImageExamination:
    """All that one pass over images yields.

    Attributes
    ----------
    images : ImageList
        What was examined; no pixels are held but those of arrays that were given.
    raw_score : ndarray of shape (N,), float64, nats
        Higher = more anomalous; what the calibration turns into p-values.
    anomaly_score : ndarray of shape (N,), float64
        -log10 p, higher = more anomalous.
    p_value : ndarray of shape (N,), float64, in (0, 1]
    heatmap : ndarray of shape (N, G, G), float32
        The shown map on the grid of cells, in sd of held-out normals.
    score_map : ndarray of shape (N, G, G), float32
        The map that was pooled into the raw score, in the same unit: that of the linear level
        where repair VAEs and heads add to the shown one, else the shown one itself.
    evidence : DataFrame of N rows
        As `ImageVAEDetector.evidence`.
    whole : WholeImage
        What is said of whole images, beside their maps.
    judged_as : tuple of str
        Condition that each image was judged as; empty for models without conditions.
    fine : FinePlaces, optional
        Where their fine detail is; None of models that do not look for it.
    """

    images: ImageList
    raw_score: Floats
    anomaly_score: Floats
    p_value: Floats
    heatmap: Floats32
    score_map: Floats32
    evidence: pd.DataFrame
    whole: WholeImage
    judged_as: tuple[str, ...] = ()
    fine: FinePlaces | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """What the images are called."""
        return self.images.ids

    def evidence_to_learn(self) -> tuple[tuple[str, ...], Floats]:
        """Return -log p of poolings and judges, names (F,) and values (N, F), nats.

        For `vae_anomaly.detectors.learner_features`. Sums of others are left out.
        """
        names = tuple(str(name) for name in self.evidence if name not in _SUMS)
        return names, self.evidence[list(names)].to_numpy(np.float64)

    def take(self, rows: AnyInts) -> ImageExamination:
        """Return what is known of some of the images, in the order of ``rows``."""
        return ImageExamination(
            images=self.images.take(rows),
            raw_score=self.raw_score[rows],
            anomaly_score=self.anomaly_score[rows],
            p_value=self.p_value[rows],
            heatmap=self.heatmap[rows],
            score_map=self.score_map[rows],
            evidence=self.evidence.iloc[rows],
            whole=self.whole.take(rows),
            judged_as=tuple(self.judged_as[i] for i in rows.tolist()) if self.judged_as else (),
            fine=None if self.fine is None else self.fine.take(rows),
        )


def examine(
    model: ImageModel,
    calibration: ConformalCalibration,
    images: ImageList,
    device: str = "cpu",
    progress: Progress = null_progress,
) -> ImageExamination:
    """Score images that have the model's placing, and keep map and evidence.

    The model's network is brought to the device.

    Raises
    ------
    ImageError
        If an image cannot be read or used; it is named.
    """
    if isinstance(model.network, TiledNetwork):
        to_device(model.network, device)
        return _examine_tiles(model, model.network, calibration, images, progress)
    outputs: list[NetworkOutput] = []
    for pixels, codes, n in padded_batches(model, images, device):
        outputs.append(masked_output(model.network(pixels, codes).take(n), model.placing))
        progress("score", sum(len(output.nll) for output in outputs), len(images))
    examination = _judged(model, calibration, images, outputs)
    if model.placing.registration is not None:
        examination = _moved_back(examination)
    fine = examination.fine
    if fine is None:
        return examination
    return replace(examination, heatmap=fine.drawn_on(examination.heatmap, model.heat_level))


def _moved_back(examination: ImageExamination) -> ImageExamination:
    """Return maps and places where the images themselves lie."""
    images, fine = examination.images, examination.fine
    shifts = np.array([images.shifts[i] for i in range(len(images))])
    maps = (examination.heatmap, examination.score_map)
    heatmap, score_map = (shift_maps(part, shifts) for part in maps)
    moved = None if fine is None else fine.moved(shifts)
    return replace(examination, heatmap=heatmap, score_map=score_map, fine=moved)


def padded_batches(
    model: ImageModel, images: ImageList, device: str
) -> Iterator[tuple[torch.Tensor, torch.Tensor | None, int]]:
    """Yield full chunks (8, C, S, S), their conditions, and how many of their images are real.

    All of it lies on the device, and so does the network then; a GPU gets 32 at once.
    """
    codes, spec = _codes(model.conditions, images), model.network.spec
    place = to_device(model.network, device)
    n = chunk_on(place)
    with torch.inference_mode(), exact_float32(place):
        for where, pixels in images.chunks(spec.image_size, spec.channels, n_at_once=n):
            full = padded(pixels.transpose(0, 3, 1, 2), n).to(place)
            known = None if codes is None else padded(codes[where], n).to(place)
            yield full, known, len(pixels)


def _judged(
    model: ImageModel,
    calibration: ConformalCalibration,
    images: ImageList,
    outputs: Sequence[NetworkOutput],
) -> ImageExamination:
    """Turn what the network says into scores and p-values."""
    output = combined(outputs, torch.cat)
    heatmap, score_map = output.heatmap.numpy(), output.score_map.numpy()
    codes = [] if output.condition is None else output.condition.tolist()
    return _examination(
        model,
        calibration,
        images,
        seen_in(output),
        output.terms.double().numpy(),
        (heatmap, score_map),
        tuple(model.conditions[code] for code in codes),
        None if output.fine_cells is None else output.fine_cells.numpy(),
    )


def _examine_tiles(
    model: ImageModel,
    network: TiledNetwork,
    calibration: ConformalCalibration,
    images: ImageList,
    progress: Progress,
) -> ImageExamination:
    """Score large images, each alone."""
    cells, grounds = network.layout.grid().cells, network.grounds()

    def look(placed: PlacedImage) -> tuple[Floats, Floats, Floats, Floats32, Floats32]:
        tiles = inspect_tiles(network, placed)
        return (tiles.pooled(grounds), tiles.statistics, tiles.terms, *tiles.maps(cells))

    placing = TilePlacing(model.placing, model.channels)
    looks = look_at_each(images, placing, look, progress)
    heatmap = np.stack([one[3] for one in looks])
    score_map = np.stack([one[4] for one in looks]) if network.has_two_maps else heatmap
    pooled, statistics = np.stack([one[0] for one in looks]), np.stack([one[1] for one in looks])
    terms = np.stack([one[2] for one in looks])
    seen = (pooled, statistics, None, None)
    return _examination(model, calibration, images, seen, terms, (heatmap, score_map))


def _examination(
    model: ImageModel,
    calibration: ConformalCalibration,
    images: ImageList,
    seen: Seen,
    terms: Floats,
    maps: tuple[Floats32, Floats32],
    judged_as: tuple[str, ...] = (),
    cells: Ints | None = None,
) -> ImageExamination:
    """Put scores, terms (nll, kl, linear nll), (N, 3), and maps (shown, scored) together.

    What is seen is that of `seen_in`; peaks of fine detail lie in ``cells`` (N, C).
    """
    nll, kl, linear_nll = terms.T
    evidence = model.score(*seen)
    raw = evidence.raw_score
    columns = {
        "reconstruction_nll": nll,
        "kl": kl,
        "negative_elbo": nll + kl,
        "linear_nll": linear_nll,
        **evidence.columns(),
        "raw_score": raw,
    }
    return ImageExamination(
        images=images,
        raw_score=raw,
        anomaly_score=calibration.anomaly_score(raw),
        p_value=calibration.p_value(raw),
        heatmap=maps[0],
        score_map=maps[1],
        evidence=pd.DataFrame(columns, index=pd.Index(images.ids, name="id")),
        whole=_whole(model, seen[1], evidence),
        judged_as=judged_as,
        fine=_fine_places(model, evidence, cells),
    )


def _fine_places(
    model: ImageModel, evidence: ImageEvidence | EarlierEvidence, cells: Ints | None
) -> FinePlaces | None:
    if cells is None or isinstance(evidence, EarlierEvidence) or evidence.fine is None:
        return None
    size = model.network.spec.image_size
    row, column = np.divmod(cells, size // CELL)
    return FinePlaces(evidence.fine.channels, row, column, size // CELL, size)


def _whole(
    model: ImageModel, statistics: AnyFloats, evidence: ImageEvidence | EarlierEvidence
) -> WholeImage:
    """Say how whole images differ; with conditions, statistics have lost their units."""
    if model.conditions and isinstance(model.score, ImageScore):
        words = [UNSPECIFIC] * len(statistics)
    else:
        words = model.score.words(statistics, evidence.judged)
    is_specific = np.array([said != UNSPECIFIC for said in words], np.bool_)
    return WholeImage(
        tuple(words),
        evidence.whole_leads & is_specific,
        evidence.is_whole_alone,
        evidence.is_whole_notable,
    )


def seen_in(output: NetworkOutput) -> Seen:
    """Return what the score reads of whole images.

    These are poolings of maps and statistics; of fine detail, where it is looked for, the peaks and
    the material of the image.
    """
    pooled = pool_maps_of_images(output.score_map.numpy(), output.heatmap.numpy())
    seen = pooled, output.statistics.numpy()
    if output.fine_peaks is None or output.material is None:
        return (*seen, None, None)
    return (*seen, output.fine_peaks.numpy(), output.material.numpy())


def masked_output(output: NetworkOutput, placing: Placing) -> NetworkOutput:
    """Return what a network says, its maps 0 outside of the foreground."""
    if placing.foreground is None:
        return output
    heatmap, score_map = (
        torch.from_numpy(placing.masked(maps.numpy()))
        for maps in (output.heatmap, output.score_map)
    )
    return replace(output, heatmap=heatmap, score_map=score_map)


def _codes(names: tuple[str, ...], images: ImageList) -> Ints | None:
    """Return the images' conditions; tell of those that training has not seen."""
    if not names:
        return None
    codes = condition_codes(names, images.conditions)
    unseen = np.flatnonzero(codes < 0)
    if len(unseen):
        names_unseen = sorted({str(images.conditions[i] or "not told") for i in unseen})
        logger.warning(
            "%d of %s %s a condition that was never seen in training (%s): each is judged as the "
            "one that fits it best. Train with such images.",
            len(unseen), number_of(len(codes), "image"), verb_for(len(unseen), "has", "have"),
            names_of(names_unseen),
        )  # fmt: skip
    return codes
