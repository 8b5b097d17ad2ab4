"""Check images: what can be read, how many, of which kinds, and how their pixels are stored.

Copies, names, shortcuts and suspects have modules of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np

from vae_anomaly.data.doctor.copies import (
    exact_duplicates,
    near_duplicates,
    piece_groups,
    repeated_pieces,
)
from vae_anomaly.data.doctor.layout import layout_findings
from vae_anomaly.data.doctor.looks import Look, look_at_all, on_one_scale, white_of_looks
from vae_anomaly.data.doctor.masks import mask_findings
from vae_anomaly.data.doctor.names import groups_in_names, suggested_by_names
from vae_anomaly.data.doctor.report import Finding, Report, Severity, finding, sorted_findings
from vae_anomaly.data.doctor.shortcuts import shortcuts
from vae_anomaly.data.doctor.suspects import suspects
from vae_anomaly.data.images.decode import ImageLimits, ImageReading
from vae_anomaly.data.images.folders import (
    ClassNames,
    ImageListing,
    reasons_against,
    scan_labelled,
    why_not_trained_on,
)
from vae_anomaly.data.images.white import FULL_SCALE
from vae_anomaly.names import shown_source, spelled
from vae_anomaly.progress import Progress, null_progress
from vae_anomaly.words import number_of

FEW_GOOD, TOO_FEW_GOOD = 50, 10
MOST_OF_DARK: Final = 0.25  # of white, of the brightest place of all images


def check_images(
    source: str | Path | Sequence[str | Path],
    *,
    classes: ClassNames | None = None,
    reading: ImageReading | None = None,
    progress: Progress | None = None,
    follow_links: bool = False,
) -> Report:
    """Decode every image of a source once and report what would spoil a detector.

    Parameters
    ----------
    source : folder, manifest, image, pattern, or list of these
    classes : ClassNames, optional
        Which folders are good or defective, where their names do not tell it.
    reading : ImageReading, optional
        How large files may be; by default as where images are cut into tiles.
    progress : callable, optional
    follow_links : bool
        Follow links that lead out of a folder.

    Returns
    -------
    Report
        Codes: classes_unclear, several_data_sets, left_out, damaged, not_images, few_images,
        defects_in_training, mixed_sizes, large_images, mixed_depths, mixed_modes, channels,
        transparency, unused_bits, lost_bits, dark,
        exact_duplicates, contradicting_labels, near_duplicates, groups_in_names,
        groups_cross_split, repeated_pieces, suspects, outliers, shortcut, taken_apart, masks,
        inverted_masks, stray_masks.

    Raises
    ------
    DataError
        If there are no images.
    """
    listing = scan_labelled(source, classes, follow_links=follow_links)
    limits = (reading or ImageReading()).limits(tiled=True)
    looks = list(look_at_all(listing.items, progress or null_progress, limits))
    good = on_one_scale([look for look in looks if look.error is None])
    findings = [
        *layout_findings(listing, source),
        *_damaged(looks),
        *_not_images(listing),
        *_few_images(good),
        *_defects_in_training(looks),
        *_mixed_sizes(good),
        *_large(good),
        *_modes(good),
        *exact_duplicates(good),
        *near_duplicates(good),
        *groups_in_names(good),
        *repeated_pieces(good),
        *suspects(good),
        *shortcuts(good),
        *mask_findings(listing, good, limits),
    ]
    name = shown_source(source)
    groups = _groups(good, {one.code for one in findings})
    return Report(name, "images", _summary(listing, good), sorted_findings(findings), groups)


def _groups(good: Sequence[Look], codes: set[str]) -> dict[str, str]:
    """Return what to give as groups, by names before what images show."""
    if "groups_in_names" in codes:
        by_name = suggested_by_names(good)
        return dict(by_name.of) if by_name else {}
    return piece_groups(good) if "repeated_pieces" in codes else {}


def _summary(listing: ImageListing, good: Sequence[Look]) -> dict[str, Any]:
    """Count what there is."""
    sizes = Counter(f"{look.shape[1]} x {look.shape[0]}" for look in good)
    return {
        "layout": listing.layout,
        "images": len(listing.items),
        "readable": len(good),
        "for_training": _counted(_folder(i.id) for i in listing.items if not why_not_trained_on(i)),
        "left_out": _by_reason(listing),
        "by_kind": _counted(f"{i.split or 'all'}/{i.kind or 'unknown'}" for i in listing.items),
        "sizes": dict(sizes.most_common(5)),
        "formats": _counted(look.info.format for look in good if look.info),
        "modes": _counted(look.info.mode for look in good if look.info),
        "mean_brightness": _rounded_mean([look.brightness for look in good]),
    }


def _by_reason(listing: ImageListing) -> dict[str, int]:
    """Count what no training takes."""
    counts: Counter[str] = Counter()
    for one in reasons_against(listing):
        counts[one.reason] += one.n_images
    return dict(counts)


def _folder(identifier: str) -> str:
    return PurePosixPath(identifier).parent.as_posix()


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _rounded_mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 3) if values else None


_REMEDIES: Final = {
    "empty": "Copy empty files again from where they came.",
    "truncated": "Copy truncated files again from where they came.",
    "unreadable": "Write unreadable files again, as PNG, or leave them out.",
    "unsupported": "Save what is not supported as grey of 8 or 16 bits, or RGB of 8.",
    "not_an_image": "Leave out what is no image, whatever its name says.",
    "frames": "Save the page or frame that is meant as a file of its own, or give --max-frames.",
    "too_large": "Raise --max-pixels or --max-bytes for what is too large.",
    "memory": "Make images smaller that memory does not suffice for, or free memory.",
    "values": "Rescale pixel values to [0, 1] or unsigned 16 bits, all with one scale.",
}


def _damaged(looks: Sequence[Look]) -> Iterator[Finding]:
    """Report images that cannot be decoded, by the reason."""
    bad = [look for look in looks if look.error is not None]
    if bad:
        by_code = Counter(look.error.code for look in bad if look.error)
        reasons = ", ".join(f"{count} {code}" for code, count in by_code.most_common())
        yield finding(
            Severity.ERROR,
            "damaged",
            f"Images that cannot be decoded: {len(bad)} of {len(looks)} ({reasons}).",
            " ".join(_REMEDIES[code] for code in _REMEDIES if code in by_code)
            or "Copy them again from where they came, or leave them out.",
            [f"{look.item.id}: {look.error.code}" for look in bad if look.error],
        )


def _not_images(listing: ImageListing) -> Iterator[Finding]:
    if listing.skipped:
        yield finding(
            Severity.INFO,
            "not_images",
            f"Files that are no images by their name and are not read: {len(listing.skipped)}.",
            "Convert them to PNG if they are meant; else there is nothing to do.",
            [spelled(path.name) for path in listing.skipped],
        )


def _few_images(good: Sequence[Look]) -> Iterator[Finding]:
    """Report too few images to train and to calibrate on."""
    n = sum(look.is_training for look in good)
    if n < FEW_GOOD:
        yield finding(
            Severity.ERROR if n < TOO_FEW_GOOD else Severity.WARNING,
            "few_images",
            f"Good images for training: {n}; false-alarm rates below 1 in {n + 1} cannot be "
            "measured with them.",
            f"Collect at least {FEW_GOOD}, better 200, over several shifts and lots.",
        )


def _defects_in_training(looks: Sequence[Look]) -> Iterator[Finding]:
    bad = [look.item.id for look in looks if look.item.split == "train" and look.item.is_anomaly]
    if bad:
        yield finding(
            Severity.WARNING,
            "defects_in_training",
            f"Images under train that are called defective: {len(bad)}. No training takes them.",
            "Move them to test, where they measure a detector; if they are good, say so with "
            "--good NAME.",
            bad,
        )


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
        f"{max(aspects):.2f}. Every image is resized to one square.",
        "Crop to one aspect ratio, as stretching changes textures."
        if stretched
        else "Nothing, if one camera took them: images below the model's size show less detail.",
        other,
    )


def _large(good: Sequence[Look]) -> Iterator[Finding]:
    """Report images that are only read where they are cut into tiles."""
    most = ImageLimits().max_pixels
    names = [look.item.id for look in good if look.shape[0] * look.shape[1] > most]
    if names:
        yield finding(
            Severity.INFO,
            "large_images",
            f"Images of more than {most:,} pixels: {len(names)} of {len(good)}.",
            "Train with --tile-size, which reads them and keeps fine defects, or --max-pixels.",
            names,
        )


def _modes(good: Sequence[Look]) -> Iterator[Finding]:
    """Report everything about the way of storing that changes what a model sees."""
    yield from _mixed_depths(good)
    yield from _mixed(good)
    yield from _channels(good)
    yield from _transparent(good)
    yield from _unused_bits(good)
    yield from _lost_bits(good)
    yield from _dark(good)


def _mixed(good: Sequence[Look]) -> Iterator[Finding]:
    kinds = Counter(map(_kind, good))
    if len(kinds) < 2:
        return
    usual = kinds.most_common(1)[0][0]
    shown = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    yield finding(
        Severity.INFO,
        "mixed_modes",
        f"Images are stored in several ways: {shown}.",
        "Check that all come from one kind of camera; if not, train one model for each.",
        [look.item.id for look in good if _kind(look) != usual],
    )


def _mixed_depths(good: Sequence[Look]) -> Iterator[Finding]:
    """Report images of 8 bits beside those of 16: what is white in both is not known."""
    deep = [look.item.id for look in good if look.deep]
    shallow = [look.item.id for look in good if not look.deep]
    if deep and shallow and white_of_looks(good) > 255:
        yield finding(
            Severity.ERROR,
            "mixed_depths",
            f"Images of 8 bits ({len(shallow)}) and of 16 ({len(deep)}) are mixed: white is 255 "
            "in the ones and not known in the others.",
            "Save all with the same number of bits, or tell the white of those of 16 when "
            "training: --white 4095 for a camera of 12 bits.",
            deep if len(deep) <= len(shallow) else shallow,
        )


def _channels(good: Sequence[Look]) -> Iterator[Finding]:
    """Say whether a model sees colour in files that have three channels."""
    shown = [look for look in good if look.is_training and look.colourful]
    stored = [look for look in good if look.is_training and look.info and _is_rgb(look.info.mode)]
    n_training = sum(look.is_training for look in good)
    if not stored:
        return
    if shown:
        text = f"Images that show colour, however faint: {len(shown)} of {n_training}."
        remedy = (
            "Nothing: a model sees colour (3 channels) if one of the 32 images that it looks at "
            "first shows some; --channels 3 or 1 decides."
        )
    else:
        text = (
            f"Images stored with three channels: {len(stored)} of {n_training}; in all of them the "
            "three are the same, so a model sees brightness only (1 channel)."
        )
        remedy = "Nothing, if the camera is grey; else train with --channels 3."
    yield finding(Severity.INFO, "channels", text, remedy)


def _is_rgb(mode: str) -> bool:
    return mode not in {"1", "L", "LA", "La", "F"} and not mode.startswith("I")


def _kind(look: Look) -> str:
    """Name how an image is stored as far as it matters."""
    mode = look.info.mode if look.info else ""
    if look.deep:
        return "16-bit grey"
    if mode in {"1", "L", "LA", "La"}:
        return "8-bit grey"
    return "colour" if look.colourful else "grey stored as colour"


def _transparent(good: Sequence[Look]) -> Iterator[Finding]:
    names = [look.item.id for look in good if look.info and look.info.mode[-1:] in {"A", "a"}]
    if names:
        yield finding(
            Severity.WARNING if len(names) < len(good) else Severity.INFO,
            "transparency",
            f"Images with a transparency channel: {len(names)} of {len(good)}. What is "
            "transparent is read as white.",
            "Save all of them without it, from the same program.",
            names,
        )


def _unused_bits(good: Sequence[Look]) -> Iterator[Finding]:
    """Report images of 16 bits that come from a camera of fewer."""
    deep = [look for look in good if look.deep]
    white = white_of_looks(deep)
    if not deep or white == FULL_SCALE:
        return
    above = [look.item.id for look in deep if look.bright and look.bright.peak > white]
    peaks = [look.bright.peak for look in deep if look.bright and look.bright.peak <= white]
    have = "has" if len(above) == 1 else "have"
    hot = f"; {number_of(len(above), 'image')} {have} brighter pixels, too few to go by"
    yield finding(
        Severity.INFO,
        "unused_bits",
        f"Images of 16 bits: {len(deep)}; the brightest pixel is {max(peaks, default=white)}"
        f"{hot * bool(above)}, "
        f"so that white is taken to be {white} ({white.bit_length()} bits).",
        "Nothing, if that is the camera; else train with --white. A model keeps the white of its "
        "training images, and brighter pixels in later images count as white: train on some of "
        "each exposure.",
        above,
    )


def _lost_bits(good: Sequence[Look]) -> Iterator[Finding]:
    names = [look.item.id for look in good if _is_deep_colour(look.item.path)]
    if names:
        yield finding(
            Severity.INFO,
            "lost_bits",
            f"Colour PNGs of 16 bits a channel, of which 8 are read: {len(names)}.",
            "Nothing, unless defects are fainter than 1 in 256: then save them in grey.",
            names,
        )


def _dark(good: Sequence[Look]) -> Iterator[Finding]:
    """Report images of which none uses more than a quarter of the scale."""
    brightest = max((float(k.thumbnail.max()) for k in good if k.thumbnail is not None), default=1)
    if brightest < MOST_OF_DARK:
        yield finding(
            Severity.WARNING,
            "dark",
            f"All images are dark: nothing is brighter than {brightest:.0%} of white.",
            "Give more light or a longer exposure. Of colour files with 16 bits a channel only the "
            "upper 8 are read: spread those of a camera of 10 to 14 bits over all 16.",
        )


def _is_deep_colour(path: Path) -> bool:
    """Tell a PNG of 16-bit colour by its header."""
    try:
        with path.open("rb") as file:
            head = file.read(26)
    except OSError:
        return False
    return head.startswith(b"\x89PNG") and head[24:26] in {b"\x10\x02", b"\x10\x06"}
