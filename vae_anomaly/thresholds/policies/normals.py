"""Policies that need the scores of normals only, which an owner has on the first day."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from vae_anomaly.errors import CalibrationError, ConfigError
from vae_anomaly.thresholds.policy import (
    ANY_NUMBER,
    POSITIVE,
    RATE,
    SHARE,
    Option,
    Request,
    ScorePolicy,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from vae_anomaly.thresholds.items import ScoredItems
    from vae_anomaly.thresholds.record import ThresholdRecord


TARGET_FPR = Option(
    "target_fpr", RATE, "Share of good items that may be flagged.  [default: 0.01]", "fpr"
)
MAX_ALARMS = Option("max_alarms_per_day", POSITIVE, "False alarms a day, of --volume items.")
QUANTILE = Option("quantile", SHARE, "Quantile of the scores of normals.")
TAIL_FPR = Option(
    "tail_fpr", RATE, "A rate too small to count, from a fitted tail (extrapolated).", "fpr"
)

VALUE = Option("value", ANY_NUMBER, "The bound itself: flag when the score is above it.")


def from_fpr(scores: ArrayLike, fpr: float, *, groups: ArrayLike | None = None) -> ThresholdRecord:
    """Promise that a new normal item is flagged with at most this probability.

    Split conformal: the promise holds in finite samples for items exchangeable with these
    normals; with ``groups``, for an item of a new group exchangeable with these groups.

    Parameters
    ----------
    scores : array-like of shape (N,)
        Anomaly scores of normals that the model was not trained on.
    fpr : float in (0, 1)
    groups : array-like of shape (N,), optional
        Part, customer or camera of each item; every group weighs the same.

    Returns
    -------
    threshold : Threshold
        ``expected_fpr`` is the mean rate and the interval in which the rate of this very
        threshold lies (Beta law; by resampling groups where given).

    Raises
    ------
    CalibrationError
        If a score is not finite, all are equal, or there are too few for this rate.

    References
    ----------
    Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005. Groups: Lee,
    Barber and Willett, Distribution-free inference with hierarchical data, 2023.
    """
    from vae_anomaly.thresholds import conformal

    s = conformal.varied_scores(scores)
    conformal.check_rate("false-positive rate", fpr)
    units = conformal.calibration_units(s.size, groups)
    parameters = {"fpr": fpr, "groups": units.count if groups is not None else None}
    return conformal.record_of_normals(
        s, conformal.conformal_bound(s, fpr, units), "fpr", parameters, groups
    )


def from_max_alarms(
    scores: ArrayLike,
    max_alarms_per_day: float,
    volume: float,
    *,
    groups: ArrayLike | None = None,
) -> ThresholdRecord:
    """Allow at most this many false alarms a day, on average, at a daily volume.

    Parameters
    ----------
    scores, groups : array-like of shape (N,)
        As in `from_fpr`.
    max_alarms_per_day : float > 0
    volume : float
        Items a day; greater than ``max_alarms_per_day``.

    Raises
    ------
    ConfigError
        If the volume does not exceed the alarms.
    CalibrationError
        As `from_fpr`; then with the fewest alarms that the scores support.
    """
    import numpy as np

    from vae_anomaly.thresholds import conformal

    if not 0 < max_alarms_per_day < volume:
        raise ConfigError(
            f"Alarms a day must be above 0 and below the daily volume; got "
            f"{max_alarms_per_day:g} of {volume:g}. Give --volume as items a day."
        )
    try:
        chosen = from_fpr(scores, max_alarms_per_day / volume, groups=groups)
    except CalibrationError as err:
        fewest = volume * conformal.smallest_fpr(
            conformal.calibration_units(np.size(scores), groups).count
        )
        raise CalibrationError(
            f"{err} At {volume:g} items a day they support {fewest:.3g} alarms at best."
        ) from None
    parameters = {"max_alarms_per_day": max_alarms_per_day, "volume": volume}
    return chosen.changed(policy="max_alarms", parameters={**chosen.parameters, **parameters})


def from_quantile(
    scores: ArrayLike, quantile: float, *, groups: ArrayLike | None = None
) -> ThresholdRecord:
    """Take a quantile of the normals' scores; simple, but without the promise of `from_fpr`.

    Parameters
    ----------
    scores : array-like of shape (N,), higher = more anomalous
    quantile : float in (0, 1]
        At most ``1 - quantile`` of these very scores lie above.
    groups : array-like of shape (N,), optional
        Interval by resampling whole groups.

    Raises
    ------
    CalibrationError
        If a score is not finite or all are equal.
    """
    import numpy as np

    from vae_anomaly.thresholds import conformal

    s = conformal.varied_scores(scores)
    if quantile not in SHARE:
        raise ConfigError(f"A quantile must be {SHARE}; got {quantile:g}. Try 0.99.")
    value = float(np.quantile(s, quantile, method="inverted_cdf"))
    return conformal.record_of_normals(s, value, "quantile", {"quantile": quantile}, groups)


def from_tail(
    scores: ArrayLike,
    fpr: float,
    *,
    tail_share: float = 0.1,
    groups: ArrayLike | None = None,
) -> ThresholdRecord:
    """Reach rates below 1/(n + 1) with a generalised Pareto tail; marked as extrapolation.

    Parameters
    ----------
    scores : array-like of shape (N,)
        Anomaly scores of normals that the model was not trained on.
    fpr : float
        Below ``tail_share``.
    tail_share : float in (0, 1)
        Share of the largest scores that the tail is fitted to.
    groups : array-like of shape (N,), optional
        Every group weighs the same, and the rate is that of an item of a new group; interval
        by resampling whole groups.

    Returns
    -------
    threshold : Threshold
        ``parameters`` hold the tail's shape, scale, start and goodness of fit (a p-value:
        below 0.05 the tail does not fit and the rate should not be believed).

    Raises
    ------
    CalibrationError
        If fewer than 25 scores (or groups' worth of them) form the tail, or the rate is
        not below ``tail_share``.

    References
    ----------
    Pickands 1975; Hosking and Wallis, Parameter and quantile estimation for the generalized
    Pareto distribution, 1987.
    """
    from vae_anomaly.metrics import Interval
    from vae_anomaly.thresholds import conformal, record, tails

    s = conformal.varied_scores(scores)
    conformal.check_rate("false-positive rate", fpr)
    units = conformal.calibration_units(s.size, groups)
    tail = tails.fit_tail(s, tail_share, groups)
    if fpr >= tail.share:
        raise CalibrationError(
            f"A false-positive rate of {fpr:g} lies inside the scores, not in their tail "
            f"(share {tail.share:.3g}). Use from_fpr, which needs no extrapolation."
        )
    value = tail.score_at(fpr)
    low, high = tail.fpr_interval(value)
    fit = {"shape": tail.shape, "scale": tail.scale, "start": tail.start}
    return record.ThresholdRecord(
        value=value,
        policy="tail",
        parameters={
            "fpr": fpr,
            "tail_share": tail_share,
            **fit,
            "fit_p": tail.fit_p,
            "groups": units.count if groups is not None else None,
        },
        expected_fpr=Interval(fpr, min(low, fpr), max(high, fpr)),
        n_normals=s.size,
        data_hash=record.data_hash(s),
        extrapolated=fpr < conformal.smallest_fpr(units.count),
        note=tail.describe(),
    )


def from_manual(
    scores: ArrayLike, value: float, *, groups: ArrayLike | None = None
) -> ThresholdRecord:
    """Take a bound that somebody chose, and say how many normals lie above it.

    Parameters
    ----------
    scores, groups : array-like of shape (N,)
        As in `from_fpr`.
    value : float
        Flag when the score is above.

    Returns
    -------
    threshold : Threshold
        The note says where all of these normals lie below: their rate is then a bound only.

    Raises
    ------
    CalibrationError
        If a score is not finite or all are equal.
    ConfigError
        If the value is no finite number.
    """
    from vae_anomaly.thresholds import conformal

    s = conformal.varied_scores(scores)
    if not math.isfinite(value):
        raise ConfigError(f"A threshold must be a finite number; got {value:g}. Try 2.3.")
    record = conformal.record_of_normals(s, value, "manual", {"value": value}, groups)
    if value < s.max():
        return record
    return record.changed(
        note=f"None of the {s.size:,} normals lies above it: fewer than about 1 in "
        f"{s.size + 1:,} will, how many fewer is not known."
    )


def _max_alarms(items: ScoredItems, request: Request) -> ThresholdRecord:
    alarms, day = request[MAX_ALARMS.name], request.daily(MAX_ALARMS.flag)
    return from_max_alarms(items.normals, alarms, day, groups=items.normal_groups)


def _combined_fpr(items: ScoredItems, request: Request) -> ThresholdRecord:
    from vae_anomaly.thresholds import combined

    rate = request[TARGET_FPR.name]
    return combined.at_most(items, rate, "fpr", {"fpr": rate})


def _combined_alarms(items: ScoredItems, request: Request) -> ThresholdRecord:
    from vae_anomaly.thresholds import combined

    alarms, day = request[MAX_ALARMS.name], request.daily(MAX_ALARMS.flag)
    asked = {"max_alarms_per_day": alarms, "volume": day, "fpr": alarms / day}
    return combined.at_most(items, alarms / day, "max_alarms", asked)


POLICIES = (
    ScorePolicy("fpr", (TARGET_FPR,), make=from_fpr, combined=_combined_fpr),
    ScorePolicy(
        "max_alarms",
        (MAX_ALARMS,),
        make=from_max_alarms,
        read=_max_alarms,
        combined=_combined_alarms,
    ),
    ScorePolicy("quantile", (QUANTILE,), make=from_quantile),
    ScorePolicy("tail", (TAIL_FPR,), make=from_tail),
    ScorePolicy("manual", (VALUE,), make=from_manual),
)
