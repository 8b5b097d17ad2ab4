"""One pass over pictures: full chunks in, what is said of each picture out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from vae_anomaly.arrays import Floats, Floats32, Ints
from vae_anomaly.detectors.images.conditions import condition_codes
from vae_anomaly.detectors.images.image_list import CHUNK, GPU_CHUNK, Pictures
from vae_anomaly.detectors.images.networks.bank import Inspection
from vae_anomaly.detectors.images.score import PoolEvidence, pool_pictures
from vae_anomaly.devices import device_of, exact_float32, torch_device

if TYPE_CHECKING:
    from vae_anomaly.detectors.images.detector import ImageVAEDetector

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageExamination:
    """All that one pass over pictures yields.

    Attributes
    ----------
    ids : tuple of str
    raw_score : ndarray of shape (N,), float64, nats
        Higher = more anomalous; what the calibration turns into p-values.
    anomaly_score : ndarray of shape (N,), float64
        -log10 p, higher = more anomalous.
    p_value : ndarray of shape (N,), float64, in (0, 1]
    heat : ndarray of shape (N, G, G), float32
        The shown map on the grid of cells, in sd of held-out normals.
    scored : ndarray of shape (N, G, G), float32
        The map that was pooled into the raw score, in the same unit: that of the linear level
        where repair VAEs and heads add to the shown one, else the shown one itself.
    evidence : DataFrame of N rows
        As `ImageVAEDetector.evidence`.
    judged_as : tuple of str
        Condition that each picture was judged as; empty for models without conditions.
    """

    ids: tuple[str, ...]
    raw_score: Floats
    anomaly_score: Floats
    p_value: Floats
    heat: Floats32
    scored: Floats32
    evidence: pd.DataFrame
    judged_as: tuple[str, ...] = ()


def full_batches(
    detector: ImageVAEDetector, pictures: Pictures
) -> Iterator[tuple[torch.Tensor, torch.Tensor | None, int]]:
    """Yield full chunks (8, C, S, S), their conditions, and how many of their pictures are real.

    All of it lies on the detector's device, and so does its network then; a GPU gets 32 at once.
    """
    codes = _codes(detector.conditions_, pictures)
    size, channels = detector.network_.spec.image_size, detector.channels_
    place = settled(detector)
    n = chunk_on(place)
    with torch.inference_mode(), exact_float32(place):
        for where, images in pictures.chunks(size, channels, n_at_once=n):
            full = filled_up(images.transpose(0, 3, 1, 2), n).to(place)
            told = None if codes is None else filled_up(codes[where], n).to(place)
            yield full, told, len(images)


def settled(detector: ImageVAEDetector) -> torch.device:
    """Bring the network to the device that the detector is to compute on, and return that.

    Raises
    ------
    ConfigError
        If there is no such device here.
    """
    place = torch_device(detector.device)
    if device_of(detector.network_) != place:
        detector.network_.to(place)
    return place


def chunk_on(place: torch.device) -> int:
    """Return how many pictures a device is given at once."""
    return CHUNK if place.type == "cpu" else GPU_CHUNK


def first(said: Inspection, n: int) -> Inspection:
    """Return, on the processor, what is said of the first n pictures; others fill the chunk up."""
    return Inspection(
        said.heat[:n].cpu(),
        said.scored[:n].cpu(),
        said.statistics[:n].cpu(),
        said.nll[:n].cpu(),
        said.kl[:n].cpu(),
        said.linear_nll[:n].cpu(),
        None if said.condition is None else said.condition[:n].cpu(),
    )


def judge(
    detector: ImageVAEDetector, ids: tuple[str, ...], parts: Sequence[Inspection]
) -> ImageExamination:
    """Turn what the network says into scores and p-values."""
    heat, scored, statistics, nll, kl, linear_nll = (
        torch.cat([getattr(part, name) for part in parts]).numpy()
        for name in ("heat", "scored", "statistics", "nll", "kl", "linear_nll")
    )
    told = [part.condition for part in parts if part.condition is not None]
    return examination(
        detector,
        ids,
        detector.image_score_(pool_pictures(scored, heat), statistics),
        (nll.astype(np.float64), kl.astype(np.float64), linear_nll.astype(np.float64)),
        (heat, scored),
        tuple(detector.conditions_[code] for part in told for code in part.tolist()),
    )


def examination(
    detector: ImageVAEDetector,
    ids: tuple[str, ...],
    said: PoolEvidence,
    terms: tuple[Floats, Floats, Floats],
    maps: tuple[Floats32, Floats32],
    judged_as: tuple[str, ...] = (),
) -> ImageExamination:
    """Put evidence, its terms (nll, kl, linear nll) and maps (shown, scored) together."""
    nll, kl, linear_nll = terms
    raw = said.raw_score
    columns = {
        "reconstruction_nll": nll,
        "kl": kl,
        "negative_elbo": nll + kl,
        "linear_nll": linear_nll,
        **said.columns(),
        "raw_score": raw,
    }
    return ImageExamination(
        ids=ids,
        raw_score=raw,
        anomaly_score=detector.calibration_.anomaly_score(raw),
        p_value=detector.calibration_.p_value(raw),
        heat=maps[0],
        scored=maps[1],
        evidence=pd.DataFrame(columns, index=pd.Index(ids, name="id")),
        judged_as=judged_as,
    )


def as_pictures(batch: torch.Tensor) -> Floats32:
    """Return (N, C, s, s) as pictures (N, s, s), or (N, s, s, 3) in colour."""
    pictures: Floats32 = batch.permute(0, 2, 3, 1).numpy(force=True)
    return pictures[..., 0] if pictures.shape[3] == 1 else pictures


def _codes(names: tuple[str, ...], pictures: Pictures) -> Ints | None:
    """Return the pictures' conditions; tell of those that training has not seen."""
    if not names:
        return None
    codes = condition_codes(names, pictures.conditions)
    strange = np.flatnonzero(codes < 0)
    if len(strange):
        told = sorted({str(pictures.conditions[i] or "not told") for i in strange})
        logger.warning(
            "%d of %d pictures have a condition that was never seen in training (%s): each is "
            "judged as the one that fits it best. Train with such pictures.",
            len(strange), len(codes), ", ".join(told[:5]),
        )  # fmt: skip
    return codes


def filled_up(rows: NDArray[np.generic], n: int = CHUNK) -> torch.Tensor:
    """Repeat the last row until the chunk of n is full."""
    full = np.concatenate([rows, np.repeat(rows[-1:], n - len(rows), axis=0)])
    return torch.from_numpy(np.ascontiguousarray(full))
