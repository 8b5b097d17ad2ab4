"""Check masks: those that say nothing about their image, and those that belong to none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vae_anomaly.arrays import Bools
from vae_anomaly.data.doctor.looks import Look
from vae_anomaly.data.doctor.report import Finding, Severity, finding
from vae_anomaly.data.images.decode import ImageLimits
from vae_anomaly.data.images.folders import ImageListing
from vae_anomaly.data.images.masks import look_inverted
from vae_anomaly.data.images.outlines import outline_of
from vae_anomaly.errors import ImageError


def mask_findings(
    listing: ImageListing, good: Sequence[Look], limits: ImageLimits
) -> Iterator[Finding]:
    """Report masks that are missing or cannot be used, inverted sets, and masks of no image."""
    items = [look.item for look in good if look.item.split != "train" or look.item.mask]
    if any(item.mask or item.mask_fault for item in items):
        outlines: list[Bools] = []
        faults = []
        for item in items:
            try:
                outline = outline_of(item, limits)
            except ImageError as err:
                faults.append(f"{item.id}: {err}")
                continue
            if outline is None and item.is_anomaly:
                faults.append(f"{item.id}: it has no mask")
            elif outline is not None and item.is_anomaly:
                outlines.append(outline)
        yield from _unusable(faults, len(outlines))
        yield from _inverted(outlines)
    yield from _strays(listing)


def _unusable(faults: Sequence[str], n_usable: int) -> Iterator[Finding]:
    if faults:
        yield finding(
            Severity.WARNING,
            "masks",
            f"Images without a usable mask: {len(faults)}; masks that can be used: {n_usable}.",
            "Draw or repair them; where localisation is measured these images are left out.",
            faults,
        )


def _inverted(outlines: Sequence[Bools]) -> Iterator[Finding]:
    if look_inverted(outlines):
        yield finding(
            Severity.WARNING,
            "inverted_masks",
            f"Masks seem to be drawn black on white: most of {len(outlines)} cover more than half "
            "of their image.",
            "Save them with 0 where the image is good and 255 where it is defective; until then "
            "localisation is not measured.",
        )


def _strays(listing: ImageListing) -> Iterator[Finding]:
    owned = set(listing.masks.of.values())
    strays = sorted(f for f in listing.masks.files if f not in owned and f.parent not in owned)
    if strays:
        yield finding(
            Severity.WARNING,
            "stray_masks",
            f"Masks that belong to no image: {len(strays)}.",
            "Call them like their image (000.png and 000_mask.png), or remove them. They are not "
            "trained on.",
            [f"{path.parent.name}/{path.name}" for path in strays],
        )
