"""Training images that look unlike the others: a cheap look for defects among the good ones.

No label is used and nothing is trained. Each thumbnail, in units of its own contrast, is explained
by the principal components of the other images; what is left is compared, place by place, with
what is usually left there. Exposure, contrast and sharpness are compared as numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from scipy import ndimage

from vae_anomaly.arrays import Floats, Floats32
from vae_anomaly.data.doctor.looks import Look, thumbnails, white_of_looks, white_shares_of
from vae_anomaly.data.doctor.report import Finding, Severity, finding
from vae_anomaly.data.images.over_exposed import over_exposed, over_exposed_words
from vae_anomaly.scoring.outliers import HEAVY, standing_out

_SIDE: Final = 48
MIN_FOR_SUSPECTS: Final = 20
SUSPECT_FROM: Final = 0.9
_MOST_NAMED: Final = 10
_FOLDS: Final = 4
_COMPONENTS: Final = 20
_SHARED: Final = 0.1
_MOST_FITTED: Final = 600
_SMOOTH: Final = 1.0


def suspects(good: Sequence[Look]) -> Iterator[Finding]:
    """Report the training images that stand out most, with the reason.

    What stands far apart from all others, by the rule of `vae_anomaly.scoring.outliers`, or is
    over-exposed, by that of `vae_anomaly.data.images.over_exposed`, is a finding of its own.
    """
    train = [look for look in good if look.is_training]
    if len(train) < MIN_FOR_SUSPECTS:
        return
    scores, reasons = _most_anomalous(train)
    bound = np.sqrt(2.0 * np.log(len(train))) + SUSPECT_FROM  # the largest of N is about the root
    far = standing_out(scores**2, shape=HEAVY) & (scores > bound)
    for i, words in _over_exposed(train, white_of_looks(good)):
        far[i], reasons[i] = True, words
    if far.any():
        yield finding(
            Severity.WARNING,
            "outliers",
            f"Training images that stand far apart from all others: {far.sum()} of {len(train)}.",
            "Look at them: one bad frame can hide every defect. Take bad frames out. Training "
            "leaves out what its model finds far apart, unless told --outliers keep.",
            [f"{train[i].item.id}: {reasons[i]}" for i in np.flatnonzero(far)],
        )
    scores = np.where(far, 0.0, scores)
    order = [i for i in np.argsort(-scores, kind="stable") if scores[i] > bound]
    if order:
        yield finding(
            Severity.WARNING if len(order) > 0.02 * len(train) else Severity.INFO,
            "suspects",
            f"Training images that stand out from the others: {len(order)} of {len(train)}.",
            "Look at them: a defect among the good images becomes normal. Take out what is "
            "defective, leave what is only rare.",
            [f"{train[i].item.id}: {reasons[i]}" for i in order[:_MOST_NAMED]],
        )


def _over_exposed(train: Sequence[Look], white: int) -> Iterator[tuple[int, str]]:
    """Yield the numbers of over-exposed images, and how much of each is white."""
    shares = white_shares_of(train, white)
    found = over_exposed(shares)
    for i in np.flatnonzero(found).tolist():
        yield i, over_exposed_words(shares[i, 0], shares[~found, 1].max())


def _most_anomalous(train: Sequence[Look]) -> tuple[Floats, list[str]]:
    """Return how far each image stands out, in robust sd, (N,), and by what."""
    local, places = _local(train)
    parts = {"": local}
    for name, values in {
        "brightness": [look.brightness for look in train],
        "contrast": [look.contrast for look in train],
        "sharpness": [look.sharpness for look in train],
    }.items():
        parts[name] = _robust(np.array(values))
    names = list(parts)
    table = np.stack([np.abs(parts[name]) if name else local for name in names])  # (4, N)
    which = table.argmax(axis=0)
    return table.max(axis=0), [
        places[i] if not names[k] else _word(names[k], float(parts[names[k]][i]))
        for i, k in enumerate(which)
    ]


def _word(name: str, distance: float) -> str:
    words = {
        "brightness": ("much darker", "much brighter"),
        "contrast": ("of much less contrast", "of much more contrast"),
        "sharpness": ("less sharp", "sharper or noisier"),
    }
    return f"{words[name][int(distance > 0)]} than the others ({abs(distance):.1f} sd)"


def _robust(values: Floats) -> Floats:
    """Return distances from the median in sd of the middle half, (N,)."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    spread = (high - low) / 1.349
    floor = 0.02 * max(abs(middle), 0.05)
    return np.asarray((values - middle) / max(spread, floor))


def _local(train: Sequence[Look]) -> tuple[Floats, list[str]]:
    """Return how far the most anomalous place of each image stands out, (N,), and where it is."""
    images = thumbnails(train, _SIDE)
    images -= images.mean(axis=(1, 2), keepdims=True)
    images /= np.maximum(images.std(axis=(1, 2), keepdims=True), 1e-3)
    rest = _unexplained(images.reshape(len(train), -1)).reshape(images.shape)
    energy = ndimage.gaussian_filter(rest**2, (0, _SMOOTH, _SMOOTH))
    usual = np.median(energy, axis=0) + np.median(energy)
    energy /= np.maximum(usual, 1e-9)  # of images that are all alike
    peaks = energy.reshape(len(train), -1)
    places = [divmod(int(k), _SIDE) for k in peaks.argmax(axis=1)]
    words = [
        f"differs most around x {100 * (x + 0.5) / _SIDE:.0f} %, y {100 * (y + 0.5) / _SIDE:.0f} %"
        for y, x in places
    ]
    distance = _robust(np.log(peaks.max(axis=1) + 1e-9).astype(np.float64))
    return distance, [f"{text} ({d:.1f} sd)" for text, d in zip(words, distance, strict=True)]


def _unexplained(rows: Floats32) -> Floats32:
    """Return what principal components of the other folds leave of each row, (N, D)."""
    rest = np.empty_like(rows)
    folds = np.arange(len(rows)) % _FOLDS
    for fold in range(_FOLDS):
        others = rows[folds != fold]
        others = others[:: max(1, len(others) // _MOST_FITTED)]
        centre = np.median(others, axis=0)
        components = _components(others - centre)
        fold_rows = rows[folds == fold] - centre
        rest[folds == fold] = fold_rows - (fold_rows @ components.T) @ components
    return rest


def _components(centred: Floats32) -> Floats32:
    """Return the first principal components that are not made by a few images alone, (K, D)."""
    k = min(_COMPONENTS, len(centred) // 4)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    shared = 1.0 / (vectors**4).sum(axis=0)  # by how many images each component is made
    common = shared > _SHARED * len(centred)
    keep = [i for i in np.argsort(-values) if values[i] > 1e-3 and common[i]][:k]
    return np.asarray((vectors[:, keep] / np.sqrt(values[keep])).T @ centred, np.float32)
