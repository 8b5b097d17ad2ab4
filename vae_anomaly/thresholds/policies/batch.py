"""Policies for a batch of items as they come, normals and anomalies together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vae_anomaly.errors import ConfigError
from vae_anomaly.thresholds.policy import POSITIVE, RATE, Option, Request, ScorePolicy

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from vae_anomaly.thresholds.items import ScoredItems
    from vae_anomaly.thresholds.record import ThresholdRecord


FDR = Option("fdr", RATE, "Share of false alarms among the flags of this very batch.")
CAPACITY = Option(
    "capacity", POSITIVE, "Items that can be reviewed, of --volume a day or of this input."
)


def from_fdr(
    scores: ArrayLike,
    fdr: float,
    *,
    normals: ArrayLike | None = None,
    normal_groups: ArrayLike | None = None,
    groups: ArrayLike | None = None,
) -> ThresholdRecord:
    """Keep the share of false alarms among a batch's flags below this (Benjamini-Hochberg).

    Parameters
    ----------
    scores : array-like of shape (N,)
        Anomaly scores, -log10 p, of the whole batch to be flagged: normals and anomalies.
    fdr : float in (0, 1)
    normals : array-like of shape (M,), optional
        Scores of the held-out normals that the scores were calibrated on. They tell which
        p-values were counted and which are extrapolated.
    normal_groups : array-like of shape (M,), optional
        Of the normals: p-values are then those of an item of a new group.
    groups : array-like of shape (N,), optional
        Of the batch; the note says from how many the flags come.

    Returns
    -------
    threshold : Threshold
        For this batch; flags nothing where nothing stands out. ``extrapolated`` where fewer
        would be flagged without p-values below what the normals can show; ``parameters`` hold
        how many (``flagged_counted``) and that bound (``smallest_p``).

    Raises
    ------
    CalibrationError
        If a score is not finite.

    References
    ----------
    Benjamini and Hochberg 1995; for conformal p-values Bates et al., Testing for outliers
    with conformal p-values, 2023 (proven for single normals; with groups it is tested here).
    """
    import numpy as np

    from vae_anomaly.metrics import checked_scores
    from vae_anomaly.thresholds import batches, conformal, record

    s = checked_scores(scores)
    conformal.require_order(s)
    conformal.check_rate("false-discovery rate", fdr)
    p = batches.p_values(s, normals, normal_groups)
    cut = batches.discovery_cut(p, fdr)
    counts: dict[str, int | float | str | None] = {"batch": s.size, "flagged": cut.flagged}
    if p.basis:
        counts |= {"flagged_counted": cut.counted, "flagged_beyond": cut.beyond}
        counts["smallest_p"] = p.floor
    return record.ThresholdRecord(
        value=conformal.just_below(s, cut.flagged),
        policy="fdr",
        parameters={"fdr": fdr, **counts},
        n_normals=0 if normals is None else np.size(normals),
        data_hash=record.data_hash(s),
        extrapolated=bool(p.basis) and cut.counted < cut.flagged,
        note=batches.describe_discoveries(cut, p, fdr, groups),
    )


def from_capacity(
    scores: ArrayLike,
    capacity: float,
    *,
    volume: float | None = None,
    groups: ArrayLike | None = None,
) -> ThresholdRecord:
    """Flag no more items than can be reviewed.

    Parameters
    ----------
    scores : array-like of shape (N,)
        Anomaly scores of typical items, normals and anomalies as they come.
    capacity : float >= 1
        Items that can be reviewed a day (or among these scores).
    volume : float, optional
        Items a day; default: these scores are one day.
    groups : array-like of shape (N,), optional
        The interval of the flagged share is then that of other groups.

    Returns
    -------
    threshold : Threshold
        Ties at the bound are left unflagged, so the capacity is never exceeded here. How far
        other days may stray from it is in the note and in ``parameters``: ``flagged_share``
        with ``_low`` and ``_high``.

    Raises
    ------
    CalibrationError
        If a score is not finite.
    """
    import math

    from vae_anomaly.metrics import checked_scores
    from vae_anomaly.thresholds import batches, conformal, record

    s = checked_scores(scores)
    conformal.require_order(s)
    day = float(s.size if volume is None else volume)
    if not 0 < capacity <= day:
        raise ConfigError(
            f"A capacity must be above 0 and at most the volume; got {capacity:g} of {day:g}. "
            "Give --volume as items a day."
        )
    wanted = math.floor(capacity / day * s.size + 1e-9)
    value = conformal.just_below(s, wanted)
    flags = s > value
    share, n_groups = batches.flagged_share(flags, groups)
    return record.ThresholdRecord(
        value=value,
        policy="capacity",
        parameters={
            "capacity": capacity,
            "volume": day,
            "flagged_share": share.estimate,
            "flagged_share_low": share.low,
            "flagged_share_high": share.high,
            "groups": n_groups,
        },
        data_hash=record.data_hash(s),
        note=batches.describe_share(share, volume, n_groups)
        + (f" {batches.left_unflagged(s, value)}" if flags.sum() < wanted else ""),
    )


def _fdr(items: ScoredItems, request: Request) -> ThresholdRecord:
    if items.are_held_out:
        raise ConfigError(
            f"{FDR.flag} flags one batch of new items; the held-out normals are none. Add --scores "
            "FILE or --input PATH."
        )
    return from_fdr(
        items.scores,
        request["fdr"],
        normals=items.held_out,
        normal_groups=items.held_out_groups,
        groups=items.groups,
    )


def _capacity(items: ScoredItems, request: Request) -> ThresholdRecord:
    day, groups = request.volume, items.groups
    return from_capacity(items.scores, request["capacity"], volume=day, groups=groups)


def _likeliest(items: ScoredItems, request: Request) -> ThresholdRecord:
    return _capacity(items, request).changed(basis="probability")


POLICIES = (
    ScorePolicy("fdr", (FDR,), make=from_fdr, of_batch=True, read=_fdr),
    ScorePolicy(
        "capacity",
        (CAPACITY,),
        make=from_capacity,
        of_batch=True,
        read=_capacity,
        combined=_likeliest,
        combined_on="probability",
    ),
)
