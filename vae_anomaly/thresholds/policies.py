"""Policies, ways to choose a threshold: with normals only, and with labels."""

from __future__ import annotations

import hashlib
import math
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from vae_anomaly.arrays import AnyArray, Bools, Floats
from vae_anomaly.errors import CalibrationError, ConfigError
from vae_anomaly.metrics import (
    Interval,
    RankingCurve,
    checked_labels,
    checked_scores,
)
from vae_anomaly.thresholds import batches, rules
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
from vae_anomaly.thresholds.costs import checked_costs
from vae_anomaly.thresholds.record import ThresholdRecord
from vae_anomaly.thresholds.tails import fit_tail


def _hash(*arrays: AnyArray) -> str:
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
    def from_tail(
        cls,
        scores: ArrayLike,
        fpr: float,
        *,
        tail_share: float = 0.1,
        groups: ArrayLike | None = None,
    ) -> Self:
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
        s = varied_scores(scores)
        check_rate("false-positive rate", fpr)
        units = calibration_units(s.size, groups)
        tail = fit_tail(s, tail_share, groups)
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
            parameters={
                "fpr": fpr,
                "tail_share": tail_share,
                **fit,
                "fit_p": tail.fit_p,
                "groups": units.count if groups is not None else None,
            },
            expected_fpr=Interval(fpr, min(low, fpr), max(high, fpr)),
            n_normals=s.size,
            data_hash=_hash(s),
            extrapolated=fpr < smallest_fpr(units.count),
            note=tail.describe(),
        )

    @classmethod
    def from_fdr(
        cls,
        scores: ArrayLike,
        fdr: float,
        *,
        normals: ArrayLike | None = None,
        normal_groups: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
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
        s = batches.falling_batch(scores)
        check_rate("false-discovery rate", fdr)
        p = batches.p_values(checked_scores(scores), normals, normal_groups)
        cut = batches.discovery_cut(p, fdr)
        found: dict[str, int | float | str | None] = {"fdr": fdr, "batch": s.size}
        found["flagged"] = cut.flagged
        if p.basis:
            found |= {"flagged_counted": cut.counted, "flagged_beyond": cut.beyond}
            found["smallest_p"] = p.floor
        return cls(
            value=just_below(s, cut.flagged),
            policy="fdr",
            parameters=found,
            n_normals=0 if normals is None else np.size(normals),
            data_hash=_hash(checked_scores(scores)),
            extrapolated=bool(p.basis) and cut.counted < cut.flagged,
            note=batches.describe_discoveries(cut, p, fdr, groups),
        )

    @classmethod
    def from_capacity(
        cls,
        scores: ArrayLike,
        capacity: float,
        *,
        volume: float | None = None,
        groups: ArrayLike | None = None,
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
        s = batches.falling_batch(scores)
        day = float(s.size if volume is None else volume)
        if not 0 < capacity <= day:
            raise ConfigError(
                f"A capacity must be above 0 and at most the volume; got {capacity:g} of {day:g}. "
                "Give --volume as items a day."
            )
        wanted = math.floor(capacity / day * s.size + 1e-9)
        value = just_below(s, wanted)
        flags = checked_scores(scores) > value
        share, n_groups = batches.flagged_share(flags, groups)
        return cls(
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
            data_hash=_hash(checked_scores(scores)),
            note=batches.describe_share(share, volume, n_groups)
            + (f" {batches.left_unflagged(s, value)}" if flags.sum() < wanted else ""),
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
        weights: Floats | None,
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
        note, folds = rules.NESTED_NOTE, rules.N_FOLDS
        if flags is None:
            flags, folds = s > value, 0
            note = (
                "Too few labels to divide: figures are from the items that chose it (optimistic)."
            )
        quality = rules.flag_quality(
            flags, y, weights=weights, groups=members, random_state=random_state
        )
        return cls(
            value=value,
            policy=policy,
            parameters=parameters | {"nested_folds": folds},
            expected_fpr=quality.fpr,
            expected_recall=quality.recall,
            expected_precision=quality.precision,
            expected_cost=quality.cost,
            n_normals=int(np.sum(~y)),
            n_anomalies=int(np.sum(y)),
            data_hash=_hash(s, y),
            note=note,
        )


def _require_order(scores: Floats, labels: Bools) -> None:
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
