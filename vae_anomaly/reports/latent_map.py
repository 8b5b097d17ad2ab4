"""Where items lie in latent space: a map of its two widest directions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from vae_anomaly.arrays import Bools, Floats
from vae_anomaly.errors import DataError
from vae_anomaly.metrics import checked_labels
from vae_anomaly.reports.palette import LIGHT_COLOURS
from vae_anomaly.reports.plots import add_legend, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_DRAWN: Final = 5000
"""Points of a kind that are drawn at most, evenly chosen."""


class LatentPlaces(NamedTuple):
    """Latents (N, Z) on their two widest directions."""

    points: Floats  # (N, 2), sd of the prior
    shares: tuple[float, float]  # of the variance along each


def project_latents(latents: ArrayLike) -> LatentPlaces:
    """Turn latents so that their two widest directions lie on the axes.

    Parameters
    ----------
    latents : array-like of shape (N, Z), sd of the prior
        Posterior means, as ``detector.transform`` or ``latent embed`` gives them.

    Returns
    -------
    projection : LatentPlaces
        Each axis points where its largest weight is positive, so that a map is the same each time.

    Raises
    ------
    DataError
        If there are fewer than two items, or a latent is not finite.

    References
    ----------
    Pearson, On lines and planes of closest fit to systems of points in space, 1901.
    """
    z = np.asarray(latents, dtype=np.float64)
    if z.ndim != 2 or len(z) < 2 or not np.isfinite(z).all():
        raise DataError(
            f"A map needs finite latents of two items or more, (N, Z); got shape {z.shape}. Embed "
            "more: vae-anomaly latent embed"
        )
    centred = z - z.mean(axis=0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    axes = (
        axes[:2] * np.sign(axes[:2][np.arange(len(axes[:2])), np.abs(axes[:2]).argmax(1)])[:, None]
    )
    points = np.zeros((len(z), 2))
    points[:, : len(axes)] = centred @ axes.T
    shares = np.zeros(2)
    shares[: len(axes)] = (sizes**2 / max(float((sizes**2).sum()), 1e-300))[:2]
    return LatentPlaces(points, (float(shares[0]), float(shares[1])))


def latent_map_figure(
    latents: ArrayLike, labels: ArrayLike | None = None, items: str = "items"
) -> Figure:
    """Draw where items lie in latent space.

    Parameters
    ----------
    latents : array-like of shape (N, Z), sd of the prior
        As for `project_latents`.
    labels : array-like of shape (N,), 1 = anomaly or flagged, or None
        Those are triangles, so that they are found in grey too.
    items : str
        What they are called.

    Returns
    -------
    figure : matplotlib Figure
        Of each kind at most 5,000 points, evenly chosen; the legend says how many there are.

    Raises
    ------
    DataError
        As `project_latents`.
    """
    found = project_latents(latents)
    n = len(found.points)
    odd = (
        np.zeros(n, dtype=np.bool_) if labels is None else checked_labels(labels, n, one_class=True)
    )
    figure, axes = new_figure(6.2, 5.4, f"Latent map of {n:,} {items}")
    for part, name, colour, marker, size in (
        (~odd, "normal" if labels is not None else items, LIGHT_COLOURS.normal, "o", 10),
        (odd, "anomaly", LIGHT_COLOURS.anomalous, "^", 26),
    ):
        if part.any():
            shown = _evenly(found.points, part)
            drawn = f", {len(shown):,} drawn" if len(shown) < part.sum() else ""
            axes.scatter(
                shown[:, 0], shown[:, 1], s=size, c=colour, marker=marker, alpha=0.7, linewidths=0,
                label=f"{name} ({part.sum():,}{drawn})",
            )  # fmt: skip
    for axis, share, number in zip((axes.xaxis, axes.yaxis), found.shares, (1, 2), strict=True):
        axis.set_label_text(f"direction {number}, sd of the prior ({share:.0%} of the variance)")
    axes.set_aspect("equal", adjustable="datalim")
    add_legend(axes)
    return figure


def _evenly(points: Floats, part: Bools) -> Floats:
    members = points[part]
    if len(members) <= MOST_DRAWN:
        return members
    return members[np.linspace(0, len(members) - 1, MOST_DRAWN).astype(np.int64)]
