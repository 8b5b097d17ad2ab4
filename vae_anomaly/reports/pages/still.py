"""Kept images as a page shows them without a script: the image, its heat over it, its outlines."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from markupsafe import Markup
from PIL import Image

from vae_anomaly.detectors.images.heatmaps import HEAT_RANGE, render
from vae_anomaly.reports.charts.svg import curve
from vae_anomaly.reports.facts.items import ShownImage

_OPACITY: Final = 0.75  # of what is hot
_COLD: Final = 0.2  # of the range: below, heat is usual and not shown


@dataclass(frozen=True)
class StillImage:
    """Addresses of an image and of its heat, and the outlines to lie over both."""

    image: str
    heat: str
    outlines: Markup


def still_image(shown: ShownImage) -> StillImage:
    """Return an image that was kept, ready for a page."""
    outlines = [
        curve(list(zip(line[::2], line[1::2], strict=True)), closed=True, fill="none")
        for line in shown.contours
    ]
    return StillImage(
        f"data:image/webp;base64,{shown.thumbnail}",
        f"data:image/png;base64,{_coloured(shown.heat)}",
        Markup("").join(outlines),
    )


def _coloured(heat: str) -> str:
    """Return a grey map as PNG in the colours of heat, transparent where it is cold."""
    grey = np.asarray(Image.open(io.BytesIO(base64.b64decode(heat))), np.float32) / 255.0
    low, high = HEAT_RANGE
    colours = render(low + grey * (high - low))
    alpha = np.rint(255.0 * _OPACITY * np.clip((grey - _COLD) / 0.3, 0.0, 1.0)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.dstack([colours, alpha])).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
