"""What the folders of images leave open, and which images a training would leave out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from vae_anomaly.data.doctor.report import Finding, Severity, finding
from vae_anomaly.data.images.folders import (
    ImageListing,
    LeftOutImages,
    how_to_say,
    reasons_against,
    told,
    what_is_open,
)
from vae_anomaly.data.images.folders.not_input import HIDDEN, SYSTEM
from vae_anomaly.data.images.folders.selection import DEFECTS, MASKS, TEST_PART, VALIDATION_PART


def layout_findings(
    listing: ImageListing, source: str | Path | Sequence[str | Path]
) -> Iterator[Finding]:
    """Report folders that look like classes, several data sets, and what training leaves out."""
    codes = {"classes": "classes_unclear", "several": "several_data_sets"}
    for question in listing.questions:
        yield finding(
            Severity.ERROR,
            codes[question.kind],
            what_is_open(question, source),
            how_to_say(question, source),
            list(question.names),
        )
    left_out = [one for one in reasons_against(listing) if _is_news(one, listing)]
    lines = told(left_out)
    if lines:
        n = sum(one.n_images for one in left_out)
        yield finding(
            Severity.INFO,
            "left_out",
            f"Images that no training takes: {n}.",
            "Nothing, if that is meant; else sort the images into folders, name these with --good "
            "NAME, or give the folder that is meant.",
            [line.removeprefix("left out: ") for line in lines],
        )


def _is_news(one: LeftOutImages, listing: ImageListing) -> bool:
    """Tell what its owner may not expect from what every labelled data set has."""
    if one.reason in {TEST_PART, VALIDATION_PART}:
        return listing.layout not in {"mvtec", "manifest"}
    return one.reason not in {DEFECTS, MASKS, SYSTEM, HIDDEN}
