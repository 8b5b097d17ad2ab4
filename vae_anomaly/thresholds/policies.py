"""Policies, ways to choose a threshold: with normals only, and with labels."""

from __future__ import annotations

import hashlib
import math
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vae_anomaly.errors import CalibrationError, ConfigError
from vae_anomaly.metrics import (
    Interval,
    RankingCurve,
    checked_labels,
    checked_scores,
    proportion_interval,
)
from vae_anomaly.thresholds import rules
from vae_anomaly.thresholds.conformal import (
    calibration_units,
    check_rate,
    conformal_bound,
    just_below,
    rate_above,
    smallest_fpr,
    tie_note,
    varied_scores,
)
from vae_anomaly.thresholds.record import ThresholdRecord
from vae_anomaly.thresholds.tails import fit_tail

__all__ = ["Threshold", "checked_costs"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def _hash(*arrays: NDArray[Any]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.hexdigest()


class Threshold(ThresholdRecord):
    """A bound on the anomaly score, chosen by a policy, with what to expect of it.

    Fields, reading and writing are those of `ThresholdRecord`.

    Examples
    --------
    >>> import numpy as np
    >>> normal_scores = np.linspace(0.0, 3.0, 200)
    >>> threshold = Threshold.from_fpr(normal_scores, 0.05)
    >>> threshold.flag([2.0, 2.9]).tolist()
    [False, True]
    """

    # --- normals only ---------------------------------------------------------------------------

    @classmethod
    def from_fpr(cls, scores: ArrayLike, fpr: float, *, groups: ArrayLike | None = None) -> Self:
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
        s = varied_scores(scores)
        check_rate("false-positive rate", fpr)
        units = calibration_units(s.size, groups)
        value = conformal_bound(s, fpr, units)
        return cls(
            value=value,
            policy="fpr",
            parameters={"fpr": fpr, "groups": units.count if groups is not None else None},
            expected_fpr=rate_above(s, value, groups),
            n_normals=s.size,
            data_hash=_hash(s),
            note=tie_note(s, value),
        )

    @classmethod
    def from_max_alarms(
        cls,
        scores: ArrayLike,
        max_alarms_per_day: float,
        volume: float,
        *,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Allow at most this many false alarms a day, on average, at a daily volume.

        Parameters
        ----------
        scores : array-like of shape (N,)
            Anomaly scores of normals that the model was not trained on.
        max_alarms_per_day : float > 0
        volume : float
            Items a day; greater than ``max_alarms_per_day``.
        groups : array-like of shape (N,), optional
            As in `from_fpr`.

        Returns
        -------
        threshold : Threshold

        Raises
        ------
        ConfigError
            If the volume does not exceed the alarms.
        CalibrationError
            As `from_fpr`; then with the fewest alarms that the scores support.
        """
        if not 0 < max_alarms_per_day < volume:
            raise ConfigError(
                f"Alarms a day must be above 0 and below the daily volume; got "
                f"{max_alarms_per_day:g} of {volume:g}. Give --volume as items a day."
            )
        try:
            chosen = cls.from_fpr(scores, max_alarms_per_day / volume, groups=groups)
        except CalibrationError as err:
            fewest = volume * smallest_fpr(calibration_units(np.size(scores), groups).count)
            raise CalibrationError(
                f"{err} At {volume:g} items a day they support {fewest:.3g} alarms at best."
            ) from None
        asked = {"max_alarms_per_day": max_alarms_per_day, "volume": volume}
        return chosen._with(policy="max_alarms", parameters={**chosen.parameters, **asked})

    @classmethod
    def from_quantile(
        cls, scores: ArrayLike, quantile: float, *, groups: ArrayLike | None = None
    ) -> Self:
        """Take a quantile of the normals' scores; simple, but without the promise of `from_fpr`.

        Parameters
        ----------
        scores : array-like of shape (N,), higher = more anomalous
        quantile : float in (0, 1]
            At most ``1 - quantile`` of these very scores lie above.
        groups : array-like of shape (N,), optional
            Interval by resampling whole groups.

        Returns
        -------
        threshold : Threshold

        Raises
        ------
        CalibrationError
            If a score is not finite or all are equal.
        """
        s = varied_scores(scores)
        if not 0 < quantile <= 1:
            raise ConfigError(f"A quantile must be in (0, 1]; got {quantile:g}. Try 0.99.")
        value = float(np.quantile(s, quantile, method="inverted_cdf"))
        return cls(
            value=value,
            policy="quantile",
            parameters={"quantile": quantile},
            expected_fpr=rate_above(s, value, groups),
            n_normals=s.size,
            data_hash=_hash(s),
            note=tie_note(s, value),
        )

    @classmethod
    def from_tail(cls, scores: ArrayLike, fpr: float, *, tail_share: float = 0.1) -> Self:
        """Reach rates below 1/(n + 1) with a generalised Pareto tail; marked as extrapolation.

        Parameters
        ----------
        scores : array-like of shape (N,)
            Anomaly scores of normals that the model was not trained on.
        fpr : float
            Below ``tail_share``.
        tail_share : float in (0, 1)
            Share of the largest scores that the tail is fitted to.

        Returns
        -------
        threshold : Threshold
            ``parameters`` hold the tail's shape, scale, start and goodness of fit (a p-value:
            below 0.05 the tail does not fit and the rate should not be believed).

        Raises
        ------
        CalibrationError
            If fewer than 25 scores form the tail, or the rate is not below ``tail_share``.

        References
        ----------
        Pickands 1975; Hosking and Wallis, Parameter and quantile estimation for the generalized
        Pareto distribution, 1987.
        """
        s = varied_scores(scores)
        check_rate("false-positive rate", fpr)
        tail = fit_tail(s, tail_share)
        if fpr >= tail.share:
            raise CalibrationError(
                f"A false-positive rate of {fpr:g} lies inside the scores, not in their tail "
                f"(share {tail.share:.3g}). Use from_fpr, which needs no extrapolation."
            )
        value = tail.score_at(fpr)
        low, high = tail.fpr_interval(value)
        fit = {"shape": tail.shape, "scale": tail.scale, "start": tail.start}
        return cls(
            value=value,
            policy="tail",
            parameters={"fpr": fpr, "tail_share": tail_share, **fit, "fit_p": tail.fit_p},
            expected_fpr=Interval(fpr, low, high),
            n_normals=s.size,
            data_hash=_hash(s),
            extrapolated=fpr < smallest_fpr(s.size),
            note=tail.describe(),
        )

    @classmethod
    def from_fdr(cls, scores: ArrayLike, fdr: float) -> Self:
        """Keep the share of false alarms among a batch's flags below this (Benjamini-Hochberg).

        Parameters
        ----------
        scores : array-like of shape (N,)
            Anomaly scores, -log10 p, of the whole batch to be flagged: normals and anomalies.
        fdr : float in (0, 1)

        Returns
        -------
        threshold : Threshold
            For this batch; flags nothing where nothing stands out.

        Raises
        ------
        CalibrationError
            If a score is not finite.

        References
        ----------
        Benjamini and Hochberg 1995; for conformal p-values Bates et al., Testing for outliers
        with conformal p-values, 2023.
        """
        s = _batch(scores)
        check_rate("false-discovery rate", fdr)
        rank = np.arange(1, s.size + 1)
        passed = np.flatnonzero(10.0**-s <= fdr * rank / s.size)
        n_flagged = int(passed[-1]) + 1 if passed.size else 0
        return cls(
            value=just_below(s, n_flagged),
            policy="fdr",
            parameters={"fdr": fdr, "batch": s.size, "flagged": n_flagged},
            data_hash=_hash(checked_scores(scores)),
            note=f"Made for one batch of {s.size} items: {n_flagged} flagged.",
        )

    @classmethod
    def from_capacity(
        cls, scores: ArrayLike, capacity: float, *, volume: float | None = None
    ) -> Self:
        """Flag no more items than can be reviewed.

        Parameters
        ----------
        scores : array-like of shape (N,)
            Anomaly scores of typical items, normals and anomalies as they come.
        capacity : float >= 1
            Items that can be reviewed a day (or among these scores).
        volume : float, optional
            Items a day; default: these scores are one day.

        Returns
        -------
        threshold : Threshold
            Ties at the bound are left unflagged, so the capacity is never exceeded here.

        Raises
        ------
        CalibrationError
            If a score is not finite.
        """
        s = _batch(scores)
        day = float(s.size if volume is None else volume)
        if not 0 < capacity <= day:
            raise ConfigError(
                f"A capacity must be above 0 and at most the volume; got {capacity:g} of {day:g}. "
                "Give --volume as items a day."
            )
        wanted = math.floor(capacity / day * s.size + 1e-9)
        value = just_below(s, wanted)
        share = proportion_interval(float(np.sum(s > value)), float(s.size))
        return cls(
            value=value,
            policy="capacity",
            parameters={"capacity": capacity, "volume": day, "flagged_share": share.estimate},
            data_hash=_hash(checked_scores(scores)),
            note=f"Flags {share.estimate:.3%} of all items [{share.low:.3%}, {share.high:.3%}]."
            + (f" {_left_unflagged(s, value)}" if int(np.sum(s > value)) < wanted else ""),
        )

    # --- with labels ----------------------------------------------------------------------------

    @classmethod
    def from_labels(
        cls,
        scores: ArrayLike,
        labels: ArrayLike,
        policy: str = "f1",
        *,
        target: float | None = None,
        groups: ArrayLike | None = None,
        random_state: int = 0,
    ) -> Self:
        """Choose a threshold by a rule over labelled scores.

        Parameters
        ----------
        scores : array-like of shape (N,), higher = more anomalous
        labels : array-like of shape (N,), 1 = anomaly
        policy : str
            ``"f1"``, ``"f2"``, ``"f0.5"`` ... (F-beta), ``"youden"``, ``"min_precision"`` or
            ``"min_recall"``.
        target : float, optional
            The precision or recall that the last two policies must reach.
        groups : array-like of shape (N,), optional
            Items of one group stay on one side of the nested split and are resampled together.
        random_state : int
            Of the nested split and the bootstrap.

        Returns
        -------
        threshold : Threshold
            Its expected figures come from items that did not choose the threshold they were
            judged by (5-fold); the note says where that was not possible.

        Raises
        ------
        CalibrationError
            If a score is not finite, a class is absent, or the target cannot be reached.
        ConfigError
            If the policy is unknown or its target is missing.
        """
        name, rule, parameters = rules.label_rule(policy, target)
        return cls._tuned(rule, name, parameters, scores, labels, None, groups, random_state)

    @classmethod
    def from_cost(
        cls,
        scores: ArrayLike,
        labels: ArrayLike,
        *,
        cost_fp: float,
        cost_fn: float,
        amounts: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        random_state: int = 0,
    ) -> Self:
        """Choose the threshold with the least total cost of false alarms and misses.

        Parameters
        ----------
        scores : array-like of shape (N,), higher = more anomalous
        labels : array-like of shape (N,), 1 = anomaly
        cost_fp : float >= 0
            Cost of one false alarm.
        cost_fn : float >= 0
            Cost of one miss; with ``amounts``, per unit of amount.
        amounts : array-like of shape (N,), optional
            Amount at stake in each item, non-negative.
        groups : array-like of shape (N,), optional
            As in `from_labels`.
        random_state : int

        Returns
        -------
        threshold : Threshold
            ``expected_cost`` is per item.

        Raises
        ------
        CalibrationError
            If a score is not finite or a class is absent.
        ConfigError
            If a cost or an amount is negative or not finite, or both costs are 0.
        """
        s = checked_scores(scores)
        y = checked_labels(labels, s.size)
        weights = checked_costs(cost_fp, cost_fn, y, amounts)
        asked: dict[str, int | float | str | None] = {"cost_fp": cost_fp, "cost_fn": cost_fn}
        return cls._tuned(rules.least_cost, "cost", asked, s, y, weights, groups, random_state)

    @classmethod
    def _tuned(
        cls,
        rule: rules.Rule,
        policy: str,
        parameters: dict[str, int | float | str | None],
        scores: ArrayLike,
        labels: ArrayLike,
        weights: FloatArray | None,
        groups: ArrayLike | None,
        random_state: int,
    ) -> Self:
        s = checked_scores(scores)
        y = checked_labels(labels, s.size)
        _require_order(s, y)
        members = None if groups is None else np.asarray(groups).reshape(-1)
        curve = RankingCurve.of(y, s, weights)
        value = float(curve.value[rule(curve)])
        flags = rules.nested_flags(
            rule, y, s, weights=weights, groups=members, random_state=random_state
        )
        note = "Figures are from items that did not choose the threshold (5-fold)."
        if flags is None:
            flags = s > value
            note = (
                "Too few labels to divide: figures are from the items that chose it (optimistic)."
            )
        quality = rules.flag_quality(
            flags, y, weights=weights, groups=members, random_state=random_state
        )
        return cls(
            value=value,
            policy=policy,
            parameters=parameters,
            expected_fpr=quality.fpr,
            expected_recall=quality.recall,
            expected_precision=quality.precision,
            expected_cost=quality.cost,
            n_normals=int(np.sum(~y)),
            n_anomalies=int(np.sum(y)),
            data_hash=_hash(s, y),
            note=note,
        )


def _batch(scores: ArrayLike) -> FloatArray:
    """Return the scores of a batch, falling, or say why they give no order to cut."""
    s = np.sort(checked_scores(scores))[::-1]
    if s.size > 1 and s[0] == s[-1]:
        raise CalibrationError(
            f"All {s.size} scores are equal ({s[0]:g}): they give no order to cut. "
            "Check the model and its input."
        )
    return s


def _left_unflagged(scores: FloatArray, value: float) -> str:
    """Say that a tie at the bound was not split."""
    tied = int(np.sum(scores == value))
    return f"{tied} items share the score at the bound and stay unflagged: fewer than asked."


def _require_order(scores: FloatArray, labels: BoolArray) -> None:
    """Refuse labelled scores that no threshold can be read from."""
    if scores.min() == scores.max():
        raise CalibrationError(
            f"All {scores.size} scores are equal ({scores[0]:g}): they give no order to cut. "
            "Check the model and its input."
        )
    if np.sum(~labels) < 2:
        raise CalibrationError(
            "A threshold needs at least 2 normal items to be measured on; got 1. Label more."
        )


def checked_costs(
    cost_fp: float, cost_fn: float, labels: BoolArray, amounts: ArrayLike | None = None
) -> FloatArray:
    """Return what a mistake on each item costs.

    Parameters
    ----------
    cost_fp, cost_fn : float >= 0
        Of a false alarm, and of a miss (per unit of amount).
    labels : ndarray of shape (N,), bool
    amounts : array-like of shape (N,), optional

    Returns
    -------
    costs : ndarray of shape (N,), float64

    Raises
    ------
    ConfigError
        If a cost or an amount is negative or not finite, or both costs are 0.
    """
    if not (cost_fp >= 0 and cost_fn >= 0 and 0 < cost_fp + cost_fn < math.inf):
        raise ConfigError(
            f"Costs must be 0 or more and not both 0; got a false alarm at {cost_fp:g} and a "
            f"miss at {cost_fn:g}. Try --cost-fp 1 --cost-fn 50."
        )
    stake = np.ones(labels.size) if amounts is None else _checked_amounts(amounts, labels.size)
    return np.where(labels, cost_fn * stake, cost_fp)


def _checked_amounts(amounts: ArrayLike, n: int) -> FloatArray:
    stake = np.asarray(amounts, dtype=np.float64).reshape(-1)
    if stake.size != n or not np.isfinite(stake).all() or stake.min() < 0:
        raise ConfigError(
            f"Each of {n} items needs an amount of 0 or more; got {stake.size} amounts, "
            f"{int(np.sum(~(stake >= 0)))} of them negative or missing. Clean the column."
        )
    return stake
