"""Images that are there twice: equal pixel by pixel, or nearly, as after saving them again.

Near copies are found by the correlation of what distinguishes 48-pixel thumbnails from the mean
image after a high-pass, each place in units of what usually varies there: re-encoding, resizing
and other light leave it close to 1, while two parts that lie in the same place share their edges
only, which count little. All pairs are compared by matrix products, 5,000 images in seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components

from vae_anomaly.arrays import Floats32, Indices, Ints
from vae_anomaly.data.doctor.looks import Look, thumbnails
from vae_anomaly.data.doctor.report import Finding, Severity, finding

_SIDE: Final = 48
NEAR_CORRELATION: Final = 0.88
LEAK_SHARE: Final = 0.03
REPEATED_SHARE: Final = 0.10
_CLIP: Final = 2.0
_ROWS: Final = 512


def exact_duplicates(good: Sequence[Look]) -> Iterator[Finding]:
    """Report images with the same pixels, worst where they cross from training to test."""
    by_digest: dict[str, list[Look]] = {}
    for look in good:
        by_digest.setdefault(look.digest, []).append(look)
    same = [looks for looks in by_digest.values() if len(looks) > 1]
    crossing = [looks for looks in same if len({look.item.split for look in looks}) > 1]
    if same:
        yield finding(
            Severity.WARNING,
            "exact_duplicates",
            f"Images that repeat another exactly: {sum(map(len, same)) - len(same)}; in training "
            f"and in test at once: {len(crossing)}.",
            "Delete the copies: they make figures look better than they are.",
            [" = ".join(look.item.id for look in looks) for looks in crossing or same],
        )
    yield from _contradictions(same)


def _contradictions(same: Sequence[Sequence[Look]]) -> Iterator[Finding]:
    """Report images that are called good in one place and defective in another."""
    both = [looks for looks in same if len({look.item.is_anomaly for look in looks} - {None}) > 1]
    if both:
        yield finding(
            Severity.WARNING,
            "contradicting_labels",
            f"Images that are called good in one place and defective in another: {len(both)}.",
            "Look at them, keep one copy, and put it where it belongs.",
            [" = ".join(look.item.id for look in looks) for looks in both],
        )


def near_duplicates(good: Sequence[Look]) -> Iterator[Finding]:
    """Report test images that show the same piece as a training image."""
    train = [look for look in good if look.item.split == "train" and look.is_training]
    for anomalous, name in ((False, "Good"), (True, "Defective")):
        test = [
            look
            for look in good
            if look.item.split == "test" and bool(look.item.is_anomaly) is anomalous
        ]
        if len(train) > 1 and test:
            yield from _leaks(train, test, name)


def _leaks(train: Sequence[Look], test: Sequence[Look], name: str) -> Iterator[Finding]:
    usual = _Usual.of(train)
    near, partner = _nearest(_details(test, usual), _details(train, usual))
    exact = {look.digest for look in train}
    pairs = [
        f"{test[i].item.id} ~ {train[partner[i]].item.id} ({near[i]:.2f})"
        for i in np.argsort(-near)
        if near[i] > NEAR_CORRELATION and test[i].digest not in exact
    ]
    if not pairs:
        return
    good = name == "Good"
    yield finding(
        Severity.WARNING if len(pairs) > LEAK_SHARE * len(test) or not good else Severity.INFO,
        "near_duplicates",
        f"{name} test images that show nearly what a training image shows: {len(pairs)} of "
        f"{len(test)} (correlation of details above {NEAR_CORRELATION:g}), as a copy does that "
        "was saved again, resized or taken under other light.",
        "Delete copies. Split by part, lot or day, so that no piece is on both sides; give "
        "--groups to training."
        if good
        else "Look at the pairs: the training image hides a defect, or the label is wrong. "
        "Else split by part, so that no piece is on both sides.",
        pairs,
    )


def repeated_pieces(good: Sequence[Look]) -> Iterator[Finding]:
    """Report training images that show each other's piece, where no group says so."""
    train = [look for look in good if look.is_training]
    if len(train) < 8 or any(look.item.group for look in train):
        return
    pieces = _pieces(train)
    sizes = np.bincount(pieces)
    several = int(sizes[sizes > 1].sum())
    if several < max(2, REPEATED_SHARE * len(train)):
        return
    largest = np.argsort(-sizes, kind="stable")[:20]
    yield finding(
        Severity.WARNING,
        "repeated_pieces",
        f"Training images that show nearly what another one shows: {several} of {len(train)}; "
        f"they show at most {len(sizes)} different pieces.",
        "Name the piece of each image with --groups (vae-anomaly data check DIR --groups-out "
        "FILE writes what was found): else its twins vouch for a held-out image, and more good "
        "pieces are flagged than stated.",
        [_named([train[i] for i in np.flatnonzero(pieces == k)]) for k in largest if sizes[k] > 1],
    )


def piece_groups(good: Sequence[Look]) -> dict[str, str]:
    """Return a group for each training image: near copies of near copies share one."""
    train = [look for look in good if look.is_training]
    return {
        look.item.id: f"piece {piece}" for look, piece in zip(train, _pieces(train), strict=True)
    }


def _named(looks: Sequence[Look]) -> str:
    more = f" and {len(looks) - 3} more" if len(looks) > 3 else ""
    return " ~ ".join(look.item.id for look in looks[:3]) + more


def _pieces(looks: Sequence[Look]) -> Ints:
    """Give each image the number of its piece, (N,): near copies of near copies share one."""
    details = _details(looks, _Usual.of(looks))
    first, second = [], []
    for start in range(0, len(details), _ROWS):
        rows, columns = np.nonzero(details[start : start + _ROWS] @ details.T > NEAR_CORRELATION)
        first.append(rows + start)
        second.append(columns)
    places = (np.concatenate(first), np.concatenate(second))
    graph = sparse.coo_matrix((np.ones(len(places[0]), bool), places), (len(looks),) * 2)
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


@dataclass(frozen=True)
class _Usual:
    """What thumbnails have in common, and how much each place varies, (48, 48)."""

    common: Floats32
    spread: Floats32

    @classmethod
    def of(cls, looks: Sequence[Look]) -> _Usual:
        """Learn it from images."""
        small = thumbnails(looks, _SIDE)
        common = small.mean(axis=0)
        spread = np.abs(_high_pass(small - common)).mean(axis=0)
        return cls(common, spread + 0.25 * spread.mean() + np.float32(1e-6))


def _details(looks: Sequence[Look], usual: _Usual) -> Floats32:
    """Return what distinguishes each thumbnail: (N, pixels), length 1, or 0 where nothing does."""
    fine = _high_pass(thumbnails(looks, _SIDE) - usual.common) / usual.spread
    rows = fine.reshape(len(looks), -1)
    rows -= rows.mean(axis=1, keepdims=True)
    spread = np.maximum(rows.std(axis=1, keepdims=True), 1e-2)
    rows = np.clip(rows / spread, -_CLIP, _CLIP)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1.0))


def _high_pass(images: Floats32) -> Floats32:
    return np.asarray(images - ndimage.uniform_filter(images, (0, 7, 7), mode="nearest"))


def _nearest(queries: Floats32, keys: Floats32) -> tuple[Floats32, Indices]:
    """Return the highest correlation of each query with a key, and which key that is."""
    best, which = [], []
    for start in range(0, len(queries), _ROWS):
        correlation = queries[start : start + _ROWS] @ keys.T
        best.append(correlation.max(axis=1))
        which.append(correlation.argmax(axis=1))
    return np.concatenate(best), np.concatenate(which)
