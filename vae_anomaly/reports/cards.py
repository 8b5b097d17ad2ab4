"""One image explained on one card: as it is, and where it differs from good ones."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from vae_anomaly.arrays import AnyArray, Bytes, Floats32
from vae_anomaly.detectors.images.heatmaps import (
    HEAT_RANGE,
    Region,
    contours,
    render,
    resize_heat,
)
from vae_anomaly.reports.palette import OUTLINE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_BOXES = 5
_LONG_SIDE = 400  # pixels of a map at most: fewer than its panel has, which drops none of them


def inspection_card(
    image: AnyArray,
    heat: Floats32,
    regions: Sequence[Region] = (),
    *,
    level: float,
    title: str = "",
) -> Figure:
    """Draw an image with its hottest regions boxed, beside its heatmap.

    The map (H, W) is in sd of held-out normals, outlined at the level. Its colour scale is the same
    for every image: a good one looks dark. The first five regions are boxed and numbered.
    """
    from matplotlib.figure import Figure

    height, width = heat.shape
    panel = 5.0 * min(1.4, max(0.6, height / width))
    figure = Figure(figsize=(10.6, panel + 0.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    place = (-0.5, width - 0.5, height - 0.5, -0.5)  # in pixels of the image, however it is drawn
    left.imshow(reduced(shown(image)), interpolation="auto", extent=place)
    _boxes(left, regions)
    right.imshow(render(_small(heat)), interpolation="nearest", extent=place)
    for line in contours(heat, level):
        right.plot(line[:, 0], line[:, 1], color=OUTLINE, linewidth=1.2)
    left.set_title("image, hottest regions boxed", fontsize=9)
    right.set_title(f"heatmap, outlined at {level:.1f} sd", fontsize=9)
    for axes in (left, right):
        axes.set_axis_off()
        axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    add_heat_scale(figure, right)
    figure.suptitle(title, fontsize=10, parse_math=False)  # a name may hold dollar signs
    return figure


def _small(heat: Floats32) -> Floats32:
    """Return a map that is small enough for its panel, with all that is hot."""
    factor = max(1.0, max(heat.shape) / _LONG_SIDE)
    size = ceil(heat.shape[0] / factor), ceil(heat.shape[1] / factor)
    return np.asarray(resize_heat(heat[None], size)[0], np.float32)


def reduced(image: Bytes) -> Bytes:
    """Return an image of at most twice the side of a map: matplotlib is slow with large ones."""
    small = Image.fromarray(image)
    small.thumbnail((2 * _LONG_SIDE, 2 * _LONG_SIDE), Image.Resampling.BOX)
    return np.asarray(small)


def shown(image: AnyArray) -> Bytes:
    """Return a decoded image as RGB of 8 bits."""
    if image.dtype == np.uint16:
        image = image >> 8
    elif image.dtype.kind == "f":
        image = np.rint(255 * image)
    eight = np.asarray(image, dtype=np.uint8)
    return np.repeat(eight[..., None], 3, axis=2) if eight.ndim == 2 else eight


def _boxes(axes: Axes, regions: Sequence[Region]) -> None:
    from matplotlib.patches import Rectangle

    for rank, region in enumerate(regions[:MAX_BOXES], start=1):
        corner = (region.left - 0.5, region.top - 0.5)
        size = (region.right - region.left, region.bottom - region.top)
        axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=OUTLINE, linewidth=1.4))
        axes.annotate(
            str(rank), corner, color="black", fontsize=8, annotation_clip=True,
            bbox={"facecolor": OUTLINE, "edgecolor": "none", "pad": 1.2},
        )  # fmt: skip


def add_heat_scale(figure: Figure, axes: Axes | list[Axes]) -> None:
    """Draw the fixed colour scale beside one map or several."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    low, high = HEAT_RANGE
    colours = render(np.linspace(low, high, 256, dtype=np.float32)[None])[0] / 255.0
    mappable = ScalarMappable(Normalize(low, high), ListedColormap(colours))
    bar = figure.colorbar(mappable, ax=axes, fraction=0.046, extend="both", aspect=30)
    bar.set_label("heat, sd of held-out normals", fontsize=8)
