"""What a threshold is, and its life after a policy chose it."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from vae_anomaly.arrays import AnyArray, Bools, Floats
from vae_anomaly.files import sha256_of
from vae_anomaly.metrics import Interval, checked_labels, checked_scores, is_flagged
from vae_anomaly.state import Json, JsonRecord
from vae_anomaly.thresholds.basis import Basis, bound_text, flags_in_words
from vae_anomaly.thresholds.rules import flag_quality
from vae_anomaly.words import number_of

PER_THOUSAND = 1000.0


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def data_hash(*arrays: AnyArray) -> str:
    """Return the SHA-256 of what chose a threshold: scores, and labels where there are any."""
    return sha256_of(*(np.ascontiguousarray(one, dtype="<f8").tobytes() for one in arrays))


class ThresholdRecord(JsonRecord):
    """A bound on the anomaly score, with the policy that made it and what to expect of it.

    Or on what verdicts have taught: then it belongs to the second stage, not to the model.

    Parameters
    ----------
    value : float
        Flag when ``anomaly_score > value``; where it is on another basis, when that is.
    basis : str
        What is bounded, as `vae_anomaly.thresholds.basis.Basis`; written where it is no score.
    policy : str
        Name of a policy in `vae_anomaly.thresholds.catalogue`; ``manual`` was set by hand.
    parameters : dict
        What the policy was asked for.
    expected_fpr, expected_recall, expected_precision : Interval, optional
        Shares in [0, 1] with 95 % intervals.
    expected_cost : Interval, optional
        Cost per item, in the unit of the costs given.
    n_normals, n_anomalies : int
        How many scores stand behind it.
    data_hash : str
        SHA-256 of the scores (and labels) that chose it.
    model_version : str
        The model it was made for; empty = any.
    extrapolated : bool
        True where the rate lies beyond what the normals can show and rests on a fitted tail.
    created : str
        ISO date.
    note : str
        What the owner should know, in words.
    """

    noun: ClassVar[str] = "a threshold"
    remedy: ClassVar[str] = "Make one with: vae-anomaly threshold tune MODEL --out threshold.json"

    value: float = Field(strict=True, allow_inf_nan=False)
    policy: str = "manual"
    parameters: dict[str, int | float | str | None] = Field(default_factory=dict)
    expected_fpr: Interval | None = None
    expected_recall: Interval | None = None
    expected_precision: Interval | None = None
    expected_cost: Interval | None = None
    n_normals: int = Field(default=0, ge=0)
    n_anomalies: int = Field(default=0, ge=0)
    data_hash: str = ""
    model_version: str = ""
    extrapolated: bool = False
    created: str = Field(default_factory=_today)
    note: str = ""
    basis: Basis = "score"

    def to_dict(self) -> Json:
        """Return a JSON-able dictionary; `from_dict` reads it back."""
        fields = super().to_dict()
        if self.basis == "score":
            del fields["basis"]  # as before there were others
        return fields

    @property
    def p_value(self) -> float:
        """The same bound as a p-value: flag when ``p < p_value``; NaN where it bounds none."""
        return math.nan if self.basis == "probability" else float(min(1.0, 10.0**-self.value))

    @property
    def bound_text(self) -> str:
        """What is flagged, such as ``score > 2.31`` or ``p_combined <= 0.01``."""
        return bound_text(self.basis, self.value)

    @property
    def is_nested(self) -> bool:
        """Whether its figures come from items that did not choose it (labelled policies)."""
        return bool(self.parameters.get("nested_folds"))

    def flag(self, scores: ArrayLike) -> Bools:
        """Say which scores are anomalies.

        Parameters
        ----------
        scores : array-like of shape (N,), higher = more anomalous

        Returns
        -------
        flags : ndarray of shape (N,), bool

        Raises
        ------
        CalibrationError
            If a score is not finite: it must be quarantined, never pass as normal.
        """
        return is_flagged(checked_scores(scores), self.value)

    def measured(
        self,
        scores: ArrayLike,
        labels: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        costs: Floats | None = None,
    ) -> Self:
        """Add recall, precision and cost to a threshold that was made without labels.

        Parameters
        ----------
        scores : array-like of shape (N,), higher = more anomalous
        labels : array-like of shape (N,), 1 = anomaly
        groups : array-like of shape (N,), optional
            Intervals by resampling whole groups.
        costs : ndarray of shape (N,), optional
            What a mistake on each item costs.
        """
        s = checked_scores(scores)
        y = checked_labels(labels, s.size)
        members = None if groups is None else np.asarray(groups).reshape(-1)
        quality = flag_quality(is_flagged(s, self.value), y, weights=costs, groups=members)
        return self.changed(
            expected_fpr=self.expected_fpr or quality.fpr,
            expected_recall=quality.recall,
            expected_precision=quality.precision,
            expected_cost=quality.cost or self.expected_cost,
            n_anomalies=int(np.sum(y)),
        )

    def for_model(self, model_version: str) -> Self:
        """Return the same threshold, bound to a model version."""
        return self.changed(model_version=model_version)

    def alarms_per_day(self, volume: float) -> Interval | None:
        """Return the false alarms a day that `expected_fpr` means at a daily volume of normals."""
        return None if self.expected_fpr is None else self.expected_fpr.scaled(volume)

    def figures(self, volume: float | None = None) -> dict[str, Interval]:
        """Return what is known of it: ``fpr, alarms_per_day, precision, recall, cost``.

        Parameters
        ----------
        volume : float, optional
            Items a day; without, no alarms a day.
        """
        figures = {
            "fpr": self.expected_fpr,
            "alarms_per_day": None if volume is None else self.alarms_per_day(volume),
            "precision": self.expected_precision,
            "recall": self.expected_recall,
            "cost": self.expected_cost,
        }
        return {name: figure for name, figure in figures.items() if figure is not None}

    def describe(self) -> str:
        """Say in one sentence what is flagged and what to expect."""
        text = f"flag when score > {self.value:.4g} (p < {self.p_value:.2g}), policy {self.policy}"
        if self.basis != "score":
            text = f"flag when {self.bound_text}, policy {self.policy}"
        if self.expected_fpr is not None:
            rate = self.expected_fpr
            text += (
                f"; expected false alarms {rate.estimate:.3%} of normals [{rate.low:.3%}, "
                f"{rate.high:.3%}], from {number_of(self.n_normals, 'normal')}"
            )
        return text + (" (extrapolated)" if self.extrapolated else "")

    def in_words(self, volume: float | None = None) -> str:
        """Say what it means to the person who answers for it.

        Parameters
        ----------
        volume : float, optional
            Items a day; without, of a thousand items.
        """
        sentences = [self._flags_in_words()]
        if self.expected_fpr is not None:
            count, unit = (volume, " a day") if volume else (PER_THOUSAND, "")
            alarms = self.expected_fpr.scaled(count)
            sentences.append(
                f"Of {count:,.0f} good items{unit} about {_amount(alarms.estimate)} will be "
                f"flagged ({_amount(alarms.low)} to {_amount(alarms.high)})."
            )
        for figure, text in (
            (self.expected_recall, "of the anomalies are found"),
            (self.expected_precision, "of the flags are real"),
        ):
            if figure is not None:
                ends = f"({figure.low:.0%} to {figure.high:.0%})"
                sentences.append(f"{figure.estimate:.0%} {text} {ends}.")
        if self.expected_cost is not None:
            sentences.append(f"The cost is {self.expected_cost.estimate:.4g} per item.")
        if self.extrapolated:
            sentences.append("This rests on a fitted tail, beyond what the normals can show.")
        return " ".join([*sentences, self.note]).strip()

    def _flags_in_words(self) -> str:
        if self.basis != "score":
            return flags_in_words(self.basis, self.value)
        share = one_in(self.value)
        most = share if share.startswith("fewer") else f"at most {share}"
        return (
            f"An item is flagged when its anomaly score is above {self.value:.4g}: by the model's "
            f"own calibration {most} normal items is that strange."
        )

    def changed(self, **changes: Any) -> Self:
        """Return the same threshold with other values of some fields, unchecked."""
        return self.model_copy(update=changes)


def one_in(score: float) -> str:
    """Say an anomaly score, -log10 p, as ``1 in N``."""
    if score <= 0:
        return "every one of the"
    many = 10.0 ** min(score, 300.0)
    if many > 1e9:
        return "fewer than 1 in 1,000,000,000"
    return f"1 in {math.floor(many + 1e-9):,}" if many >= 10 else f"1 in {many:.3g}"


def score_in_words(score: float, p_value: float, n: int, noun: str = "items") -> str:
    """Say an anomaly score in words, of ``n`` held-out normals (``"rows"`` or ``"images"``).

    The score is -log10 p, extrapolated beyond log10(n + 1); the p-value was counted on them.

    Examples
    --------
    >>> score_in_words(2.4, 0.004, 5000, "rows")
    'as strange as 1 in 251 normal rows'
    >>> score_in_words(0.2, 0.63, 5000, "rows")
    'ordinary: 63 in 100 normal rows are at least as strange'
    """
    if score > math.log10(n + 1.0):
        return (
            f"stranger than all {n:,} normal {noun} held out of training; "
            f"{_about(one_in(score))} by their tail (extrapolated)"
        )
    if p_value >= 0.1:
        return f"ordinary: {100 * p_value:.0f} in 100 normal {noun} are at least as strange"
    return f"as strange as {one_in(score)} normal {noun}"


def _about(words: str) -> str:
    return words if words.startswith("fewer") else f"about {words}"


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
