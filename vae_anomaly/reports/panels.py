"""Rows and columns of images that say what they show: maps beside images, latents moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import ArrayLike

from vae_anomaly.arrays import AnyArray, Floats32
from vae_anomaly.detectors.images.heatmaps import contours, render, resize_heat
from vae_anomaly.errors import ConfigError
from vae_anomaly.reports.cards import add_heat_scale, reduced, shown
from vae_anomaly.reports.palette import LIGHT_COLOURS, OUTLINE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ROWS: Final = 12
"""Images that a panel shows at most."""
_SIDE = 2.4  # inches of an image


def heatmap_panel_figure(
    images: Sequence[AnyArray],
    heatmaps: Floats32,
    *,
    level: float,
    names: Sequence[str] = (),
    reconstructions: Sequence[AnyArray] = (),
    title: str = "Where images differ from good ones",
) -> Figure:
    """Draw images beside their heatmaps, a row each, on the one scale of heat.

    Parameters
    ----------
    images : sequence of N ndarray of shape (H, W) or (H, W, 3)
        Decoded: 8 or 16 bits, or floating point in [0, 1].
    heatmaps : ndarray of shape (N, h, w), sd of held-out normals
        As ``detector.heatmap`` gives them.
    level : float, sd
        Outlined, as ``detector.heat_level_``.
    names : sequence of N str, optional
    reconstructions : sequence of N ndarray, optional
        What the model expected instead, as ``detector.reconstruct`` gives it.
    title : str

    Returns
    -------
    figure : matplotlib Figure
        Of the first twelve images.

    Raises
    ------
    ConfigError
        If there are no images, or another number of maps, names or reconstructions.
    """
    from matplotlib.figure import Figure

    _require_as_many(len(images), heatmaps=heatmaps, names=names, reconstructions=reconstructions)
    n = min(len(images), MOST_ROWS)
    heads = ["image", f"outlined at {level:.1f} sd", "heatmap", "expected"]
    n_columns = 4 if len(reconstructions) else 3
    figure = Figure(figsize=(n_columns * _SIDE + 1.0, n * _SIDE + 0.7), layout="constrained")
    grid = figure.subplots(n, n_columns, squeeze=False)
    for row, axes in enumerate(grid):
        _heat_row(axes, shown(images[row]), heatmaps[row], level)
        if n_columns == 4:
            axes[3].imshow(reduced(shown(reconstructions[row])))
        if names:
            axes[0].set_ylabel(_end_of(names[row]), fontsize=8, color=LIGHT_COLOURS.muted,
                               parse_math=False)  # fmt: skip
    for axes, head in zip(grid[0], heads, strict=False):
        axes.set_title(head, fontsize=9, color=LIGHT_COLOURS.muted)
    _bare(grid)
    add_heat_scale(figure, list(grid.ravel()))
    more = f" (the first {n} of {len(images)})" if len(images) > n else ""
    figure.suptitle(f"{title}{more}", fontsize=11, color=LIGHT_COLOURS.text, parse_math=False)
    return figure


def traversal_figure(
    images: Floats32, latents: Sequence[int], values: ArrayLike, *, title: str = ""
) -> Figure:
    """Draw what each latent does: a row of images for each, one column for each value.

    Parameters
    ----------
    images : ndarray of shape (R, V, h, w) or (R, V, h, w, 3), in [0, 1]
        As ``detector.traverse`` of a model of images gives them.
    latents : sequence of R int
        Which were moved.
    values : array-like of shape (V,), sd of the prior
        What each was moved to.
    title : str, optional

    Returns
    -------
    figure : matplotlib Figure

    Raises
    ------
    ConfigError
        If latents or values are not as many as rows or columns.
    """
    from matplotlib.figure import Figure

    at = np.asarray(values, dtype=np.float64)
    if images.ndim not in (4, 5) or images.shape[:2] != (len(latents), len(at)):
        raise ConfigError(
            f"A traversal of {len(latents)} latents at {len(at)} values has images of shape "
            f"({len(latents)}, {len(at)}, h, w); got {images.shape}. Give what traverse returned."
        )
    n_rows, n_columns = images.shape[:2]
    size = (n_columns * _SIDE / 2 + 0.8, n_rows * _SIDE / 2 + 1.0)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    for row, latent in enumerate(latents):
        for column, value in enumerate(at):
            axes = grid[row, column]
            axes.imshow(shown(np.clip(images[row, column], 0.0, 1.0)), vmin=0, vmax=255)
            if row == n_rows - 1:
                axes.set_xlabel(f"{value:+.2g}" if value else "0", fontsize=9,
                                color=LIGHT_COLOURS.muted)  # fmt: skip
        grid[row, 0].set_ylabel(f"z{latent}", fontsize=9, color=LIGHT_COLOURS.muted, rotation=0,
                                ha="right", va="center")  # fmt: skip
    _bare(grid)
    figure.suptitle(title or "What each latent does", fontsize=11, color=LIGHT_COLOURS.text,
                    parse_math=False)  # fmt: skip
    figure.supxlabel("value of the latent, sd of the prior", fontsize=9,
                     color=LIGHT_COLOURS.muted)  # fmt: skip
    return figure


def _heat_row(axes: Sequence[Axes], image: AnyArray, heat: Floats32, level: float) -> None:
    """Draw an image, the image with its outline, and its map."""
    height, width = image.shape[:2]
    place = (-0.5, width - 0.5, height - 0.5, -0.5)
    for left in axes[:2]:
        left.imshow(reduced(image), extent=place)
    axes[2].imshow(render(heat), interpolation="nearest", extent=place)
    fine = resize_heat(heat[None], (height, width))[0]
    for line in contours(fine, level):
        for drawn in axes[1:3]:
            drawn.plot(line[:, 0], line[:, 1], color=OUTLINE, linewidth=1.2)
    for drawn in axes[:3]:
        drawn.set(xlim=place[:2], ylim=place[2:])


def _bare(grid: AnyArray) -> None:
    for axes in grid.ravel():
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_visible(False)


def _end_of(name: str) -> str:
    return name if len(name) <= 28 else f"...{name[-25:]}"


def _require_as_many(n: int, **given: Sequence[object] | AnyArray) -> None:
    wrong = {name: len(part) for name, part in given.items() if len(part) not in (0, n)}
    if not n or wrong or not len(given["heatmaps"]):
        told = ", ".join(f"{count} {name}" for name, count in wrong.items()) or "nothing to draw"
        raise ConfigError(
            f"A panel needs a heatmap for each image; got {n} images and {told}. Give as many of "
            "each."
        )
