"""Check pictures: damaged files, mixed kinds, leaks from test to training, shortcuts."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from vae_anomaly.data.doctor.report import Finding, Report, Severity, finding, sorted_findings
from vae_anomaly.data.folders import GOOD_NAMES, ImageItem, ImageListing, scan_images
from vae_anomaly.data.images import ImageInfo, decode_image, prepare_image, probe_image
from vae_anomaly.errors import ImageError
from vae_anomaly.progress import Progress, null_progress

__all__ = ["check_images"]

THUMBNAIL: Final = 48
NEAR_CORRELATION: Final = 0.92
LEAK_SHARE: Final = 0.03
FEW_GOOD, TOO_FEW_GOOD = 50, 10
SHORTCUT_AUROC: Final = 0.95
MIN_FOR_SHORTCUT: Final = 10

Thumbnail = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Look:
    """One picture as the checks see it; `error` where it cannot be decoded."""

    item: ImageItem
    error: ImageError | None = None
    info: ImageInfo | None = None
    digest: str = ""
    thumbnail: Thumbnail | None = None
    shape: tuple[int, int] = (0, 0)

    @property
    def is_training(self) -> bool:
        """Whether a detector would be trained on it."""
        return self.item.split != "test" and self.item.is_anomaly is not True


def check_images(
    source: str | Path | Sequence[str | Path], *, progress: Progress | None = None
) -> Report:
    """Decode every picture of a source once and report what would spoil a detector.

    Parameters
    ----------
    source : folder, manifest, picture or list of pictures
    progress : callable, optional

    Returns
    -------
    Report
        Codes: damaged, not_pictures, few_pictures, defects_in_training, mixed_sizes, mixed_modes,
        exact_duplicates, near_duplicates, shortcut, masks.

    Raises
    ------
    DataError
        If there are no pictures.
    """
    listing = scan_images(source)
    looks = list(_look_at_all(listing.items, progress or null_progress))
    good = [look for look in looks if look.error is None]
    found = [
        *_damaged(looks),
        *_not_pictures(listing),
        *_few_pictures(good),
        *_defects_in_training(looks),
        *_mixed_sizes(good),
        *_mixed_modes(good),
        *_exact_duplicates(good),
        *_near_duplicates(good),
        *_shortcuts(good),
        *_masks(good),
    ]
    name = str(source) if isinstance(source, (str, Path)) else f"{len(source)} pictures"
    return Report(name, "images", _summary(listing, good), sorted_findings(found))


def _look_at_all(items: Sequence[ImageItem], tell: Progress) -> Iterator[Look]:
    for done, item in enumerate(items, start=1):
        yield _look_at(item)
        tell("check pictures", done, len(items))


def _look_at(item: ImageItem) -> Look:
    """Decode one picture and keep a small grey copy of it."""
    try:
        info = probe_image(item.path)
        pixels = decode_image(item.path)
    except ImageError as err:
        return Look(item, error=err)
    small = prepare_image(pixels, (THUMBNAIL, THUMBNAIL), 1)[..., 0]
    digest = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
    return Look(item, None, info, digest, small, (pixels.shape[0], pixels.shape[1]))


def _summary(listing: ImageListing, good: Sequence[Look]) -> dict[str, Any]:
    """Count what there is."""
    sizes = Counter(f"{look.shape[1]} x {look.shape[0]}" for look in good)
    return {
        "layout": listing.layout,
        "pictures": len(listing.items),
        "readable": len(good),
        "by_kind": _counted(f"{i.split or 'all'}/{i.kind or 'unknown'}" for i in listing.items),
        "sizes": dict(sizes.most_common(5)),
        "formats": _counted(look.info.format for look in good if look.info),
        "modes": _counted(look.info.mode for look in good if look.info),
        "mean_brightness": _rounded_mean([float(_thumb(look).mean()) for look in good]),
    }


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _rounded_mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 3) if values else None


def _damaged(looks: Sequence[Look]) -> Iterator[Finding]:
    """Report pictures that cannot be decoded, by the reason."""
    bad = [look for look in looks if look.error is not None]
    if bad:
        by_code = Counter(look.error.code for look in bad if look.error)
        reasons = ", ".join(f"{count} {code}" for code, count in by_code.most_common())
        yield finding(
            Severity.ERROR,
            "damaged",
            f"Pictures that cannot be decoded: {len(bad)} of {len(looks)} ({reasons}).",
            "Copy them again from where they came, or leave them out.",
            [f"{look.item.id}: {look.error.code}" for look in bad if look.error],
        )


def _not_pictures(listing: ImageListing) -> Iterator[Finding]:
    if listing.skipped:
        yield finding(
            Severity.INFO,
            "not_pictures",
            f"Files that are no pictures by their name and are not read: {len(listing.skipped)}.",
            "Convert them to PNG if they are meant; else there is nothing to do.",
            [path.name for path in listing.skipped],
        )


def _few_pictures(good: Sequence[Look]) -> Iterator[Finding]:
    """Report too few pictures to train and to calibrate on."""
    n = sum(look.is_training for look in good)
    if n < FEW_GOOD:
        yield finding(
            Severity.ERROR if n < TOO_FEW_GOOD else Severity.WARNING,
            "few_pictures",
            f"Good pictures for training: {n}; false-alarm rates below 1 in {n + 1} cannot be "
            "measured with them.",
            f"Collect at least {FEW_GOOD}, better 200, over several shifts and lots.",
        )


def _defects_in_training(looks: Sequence[Look]) -> Iterator[Finding]:
    bad = [look.item.id for look in looks if look.item.split == "train" and look.item.is_anomaly]
    if bad:
        yield finding(
            Severity.WARNING,
            "defects_in_training",
            f"Pictures under train that are not {_or(sorted(GOOD_NAMES))}: {len(bad)}.",
            "Move them to test: a detector learns normal from good pictures only.",
            bad,
        )


def _or(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _mixed_sizes(good: Sequence[Look]) -> Iterator[Finding]:
    """Report shapes that differ so much that resizing to one distorts."""
    aspects = [look.shape[1] / look.shape[0] for look in good]
    sizes = Counter(look.shape for look in good)
    if len(sizes) < 2:
        return
    usual = sizes.most_common(1)[0][0]
    other = [look.item.id for look in good if look.shape != usual]
    stretched = max(aspects) / min(aspects) > 1.1
    yield finding(
        Severity.WARNING if stretched else Severity.INFO,
        "mixed_sizes",
        f"Different sizes: {len(sizes)}; width / height from {min(aspects):.2f} to "
        f"{max(aspects):.2f}. Every picture is resized to one square.",
        "Crop to one aspect ratio" + (", as stretching changes textures." if stretched else "."),
        other,
    )


def _mixed_modes(good: Sequence[Look]) -> Iterator[Finding]:
    """Report grey beside colour, or 16 beside 8 bits."""
    kinds = Counter(_colour(look) for look in good)
    if len(kinds) > 1:
        usual = kinds.most_common(1)[0][0]
        shown = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        yield finding(
            Severity.INFO,
            "mixed_modes",
            f"Pictures are stored in several ways: {shown}.",
            "Check that all come from one kind of camera; if not, train one model for each.",
            [look.item.id for look in good if _colour(look) != usual],
        )


def _colour(look: Look) -> str:
    """Name how a picture is stored as far as it matters."""
    mode = look.info.mode if look.info else ""
    if mode.startswith(("I", "F")):
        return "16-bit grey"
    return "8-bit grey" if mode in {"1", "L", "LA"} else "colour"


def _exact_duplicates(good: Sequence[Look]) -> Iterator[Finding]:
    """Report pictures with the same pixels, worst where they cross from training to test."""
    by_digest: dict[str, list[Look]] = {}
    for look in good:
        by_digest.setdefault(look.digest, []).append(look)
    same = [looks for looks in by_digest.values() if len(looks) > 1]
    crossing = [looks for looks in same if len({look.item.split for look in looks}) > 1]
    if not same:
        return
    yield finding(
        Severity.WARNING,
        "exact_duplicates",
        f"Pictures that repeat another exactly: {sum(map(len, same)) - len(same)}; in training "
        f"and in test at once: {len(crossing)}.",
        "Delete the copies: they make figures look better than they are.",
        [" = ".join(look.item.id for look in looks) for looks in crossing or same],
    )


def _near_duplicates(good: Sequence[Look]) -> Iterator[Finding]:
    """Report good test pictures that show the same piece as a training picture."""
    train = [look for look in good if look.item.split == "train"]
    test = [look for look in good if look.item.split == "test" and not look.item.is_anomaly]
    if len(train) < 2 or not test:
        return
    near, partner = _nearest(_details(test, train), _details(train, train))
    seen = {look.digest for look in train}
    pairs = [
        f"{test[i].item.id} ~ {train[partner[i]].item.id} ({near[i]:.2f})"
        for i in np.argsort(-near)
        if near[i] > NEAR_CORRELATION and test[i].digest not in seen
    ]
    if pairs:
        yield finding(
            Severity.WARNING if len(pairs) > LEAK_SHARE * len(test) else Severity.INFO,
            "near_duplicates",
            f"Good test pictures that show nearly what a training picture shows: {len(pairs)} of "
            f"{len(test)} (correlation of details above {NEAR_CORRELATION:g}).",
            "Split by part, lot or day, so that no piece is on both sides; give groups= to fit.",
            pairs,
        )


def _details(looks: Sequence[Look], reference: Sequence[Look]) -> npt.NDArray[np.float32]:
    """Return what distinguishes each thumbnail: (N, pixels), mean 0 and length 1."""
    common = np.mean([_thumb(look) for look in reference], axis=0)
    rest = np.stack([_thumb(look) - common for look in looks])  # (N, 48, 48)
    padded = np.pad(rest, ((0, 0), (3, 3), (3, 3)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7), axis=(1, 2))
    fine = (rest - windows.mean(axis=(3, 4))).reshape(len(looks), -1)
    fine = fine - fine.mean(axis=1, keepdims=True)
    return np.asarray(fine / np.maximum(np.linalg.norm(fine, axis=1, keepdims=True), 1e-6))


def _nearest(
    queries: npt.NDArray[np.float32], keys: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.intp]]:
    """Return the highest correlation of each query with a key, and which key that is."""
    best = [queries[start : start + 256] @ keys.T for start in range(0, len(queries), 256)]
    correlation = np.concatenate(best)
    return correlation.max(axis=1), correlation.argmax(axis=1)


def _shortcuts(good: Sequence[Look]) -> Iterator[Finding]:
    """Report what tells the label without looking at the surface."""
    labelled = [look for look in good if look.item.is_anomaly is not None]
    test = [look for look in labelled if look.item.split != "train"]
    normal = [look for look in test if not look.item.is_anomaly]
    anomalous = [look for look in test if look.item.is_anomaly]
    train = [look for look in labelled if look.item.split == "train"]
    for name, measure in _MEASURES.items():
        yield from _shortcut(name, measure, normal, anomalous, "good and defective pictures")
        yield from _shortcut(name, measure, train, normal, "training and good test pictures")


def _shortcut(
    name: str,
    measure: Callable[[Look], float],
    first: Sequence[Look],
    second: Sequence[Look],
    between: str,
) -> Iterator[Finding]:
    if min(len(first), len(second)) < MIN_FOR_SHORTCUT:
        return
    values = np.array([measure(look) for look in [*first, *second]])
    labels = np.repeat([0, 1], [len(first), len(second)])
    auroc = float(roc_auc_score(labels, values))
    if max(auroc, 1 - auroc) > SHORTCUT_AUROC:
        yield finding(
            Severity.WARNING,
            "shortcut",
            f"The {name} alone tells {between} apart (AUROC {max(auroc, 1 - auroc):.3f}; medians "
            f"{np.median(values[labels == 0]):.4g} and {np.median(values[labels == 1]):.4g}).",
            "Take both under the same conditions and save them the same way; else a detector "
            "learns this instead of defects.",
        )


def _thumb(look: Look) -> Thumbnail:
    return np.zeros((1, 1), np.float32) if look.thumbnail is None else look.thumbnail


def _bytes_per_pixel(look: Look) -> float:
    info = look.info
    return info.size_bytes / (info.width * info.height) if info else 0.0


_FORMATS: Final = ("JPEG", "MPO", "PNG", "TIFF", "BMP", "WEBP")
_MEASURES: Final[dict[str, Callable[[Look], float]]] = {
    "number of pixels": lambda look: float(look.shape[0] * look.shape[1]),
    "aspect ratio": lambda look: look.shape[1] / look.shape[0],
    "file format": lambda look: float(_FORMATS.index(look.info.format) if look.info else -1),
    "file size per pixel": _bytes_per_pixel,
    "mean brightness": lambda look: float(_thumb(look).mean()),
}


def _masks(good: Sequence[Look]) -> Iterator[Finding]:
    """Report masks that are missing, unreadable, empty or of another size."""
    defective = [look for look in good if look.item.is_anomaly and look.item.split != "train"]
    if not any(look.item.mask for look in defective):
        return
    faults = [f"{look.item.id}: {fault}" for look in defective if (fault := _mask_fault(look))]
    if faults:
        yield finding(
            Severity.WARNING,
            "masks",
            f"Defective pictures without a usable mask: {len(faults)} of {len(defective)}.",
            "Draw them, or leave these pictures out where localisation is measured.",
            faults,
        )


def _mask_fault(look: Look) -> str | None:
    """Say what is wrong with a picture's mask; None if nothing."""
    if look.item.mask is None:
        return "no mask"
    try:
        mask = decode_image(look.item.mask)
    except ImageError as err:
        return f"mask is {err.code}"
    if mask.shape[:2] != look.shape:
        return f"mask is {mask.shape[1]} x {mask.shape[0]}, not {look.shape[1]} x {look.shape[0]}"
    return None if mask.any() else "mask is blank"
