"""What every detector shares: calibrated scores, the threshold and the scikit-learn face.

A subclass turns input into a raw score (higher = more anomalous) and into evidence; this class
turns the raw score into p-values, anomaly scores and flags. Three signs, and no other:

method               direction                   range
anomaly_score        higher = more anomalous     -log10 p, any float
p_value              lower = more anomalous      (0, 1]
score_samples        lower = more anomalous      ``-anomaly_score``
decision_function    < 0 = anomaly               ``score_samples - offset_``

``predict_proba`` exists where labelled items calibrated it (`set_probability`), and nowhere else.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from vae_anomaly.arrays import AnyArray, Floats, Ints
from vae_anomaly.detectors.held_out import HeldOut
from vae_anomaly.detectors.recalibration import Recalibration, without_old_figures
from vae_anomaly.detectors.warm_start import WarmStart
from vae_anomaly.errors import CalibrationError, ConfigError
from vae_anomaly.metrics import is_flagged
from vae_anomaly.monitoring.baseline import Baseline
from vae_anomaly.persistence import DetectorState, write_model
from vae_anomaly.progress import Progress
from vae_anomaly.scoring.conformal import ConformalCalibration
from vae_anomaly.scoring.judging import judge
from vae_anomaly.scoring.outliers import LeftOut, left_out_note, left_out_words
from vae_anomaly.scoring.probability import ScoreProbability
from vae_anomaly.state import Json
from vae_anomaly.thresholds import Threshold, smallest_fpr
from vae_anomaly.thresholds.conformal import rate_above
from vae_anomaly.vae.training import History
from vae_anomaly.words import number_of

MAX_THRESHOLD = 1e6  # beyond it everything or nothing is flagged
logger = logging.getLogger(__name__)


def _probability_of(detector: BaseVAEDetector) -> ScoreProbability:
    """Return what `set_probability` was given; without it there is no ``predict_proba``."""
    if detector.probability_ is None:
        raise AttributeError(
            "predict_proba needs labelled anomalies, and this detector has seen none: without them "
            "only p_value(X) can be said. Calibrate with det.set_probability("
            "calibrate_probability(det.anomaly_score(X), y)) on items it was not trained on, or "
            "with: vae-anomaly probability fit MODEL INPUT --labels COLUMN"
        )
    return detector.probability_


class BaseVAEDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn is untyped
    """Turn a subclass's raw score into p-values, anomaly scores and flags.

    Attributes
    ----------
    calibration_ : ConformalCalibration
        Raw scores of normals that nothing was fitted on, with their tail.
    calibration_groups_ : ndarray of shape (n,), int64, or None
        Group of each of them, ascending by score, where the detector was fitted with groups.
    threshold_ : Threshold
        The operating point: an item is flagged when its anomaly score lies above
        ``threshold_.value``.
    offset_ : float
        ``-threshold_.value``; scikit-learn's ``decision_function = score_samples - offset_``.
    history_ : History
        What training saw, step by step.
    metrics_ : dict of str to float
        What was measured at the end of training.
    fingerprint_ : dict
        Size and SHA-256 of the training data.
    probability_ : ScoreProbability or None
        What `set_probability` was given.
    left_out_ : tuple of LeftOut
        Training items that were no normals by the rule of `vae_anomaly.scoring.outliers`, with
        what is unusual about them; ``metrics_["left_out"]`` counts them, and
        ``metrics_["dropped_held_out"]`` those that would have calibrated.
    left_out_confirmed_ : tuple of str
        Ids of training items that were left out because reviewers had confirmed them as anomalies;
        the commands and `jobs` fill it in.
    held_out_ : HeldOut or None
        The normals that calibrate, as they were judged; not saved.
    training_ : dict or None
        What training kept for the model's page, as `reports.facts.model.TrainingCard`; the
        commands and `jobs` fill it in.
    recalibrated_ : tuple of Recalibration
        How often, and on what, the calibration was made anew since the training, the first first.
    baseline_ : Baseline or None
        What training inputs looked like, to compare nights with; the commands and `jobs` fill it
        in.
    start_ : WarmStart or None
        What `vae_anomaly.detectors.begin.begin_with` lets the next fit begin with.
    """

    kind: str
    target_fpr: float
    calibration_: ConformalCalibration
    calibration_groups_: Ints | None = None
    threshold_: Threshold
    history_: History
    metrics_: dict[str, float]
    fingerprint_: dict[str, Any]
    probability_: ScoreProbability | None = None
    left_out_: tuple[LeftOut, ...] = ()
    left_out_confirmed_: tuple[str, ...] = ()
    held_out_: HeldOut | None = None
    training_: Json | None = None
    recalibrated_: tuple[Recalibration, ...] = ()
    baseline_: Baseline | None = None
    start_: WarmStart | None = None

    @abstractmethod
    def fit(
        self,
        X: object,
        y: object = None,
        *,
        groups: object = None,
        progress: Progress | None = None,
    ) -> Self:
        """Learn what normal looks like; ``y`` is ignored."""

    @abstractmethod
    def evidence(self, X: object) -> pd.DataFrame:
        """Return one column per kind of evidence, in nats, higher = more anomalous."""

    @abstractmethod
    def _raw_score(self, X: object) -> Floats:
        """Return the score that is calibrated and explained, (N,), higher = more anomalous."""

    @abstractmethod
    def _state(self) -> DetectorState:
        """Return everything that `save` has to keep."""

    @classmethod
    @abstractmethod
    def _from_state(cls, state: DetectorState) -> Self:
        """Make the fitted detector that `_state` described."""

    def anomaly_score(self, X: object) -> Floats:
        """Return -log10 p, shape (N,), float64, higher = more anomalous.

        Raises
        ------
        DataError
            If the input is not like the training data.
        """
        check_is_fitted(self, "calibration_")
        return self.calibration_.anomaly_score(self._raw_score(X))

    def p_value(self, X: object) -> Floats:
        """Return the share of held-out normals at least as anomalous, shape (N,), in (0, 1]."""
        check_is_fitted(self, "calibration_")
        return self.calibration_.p_value(self._raw_score(X))

    def assess(self, X: object) -> pd.DataFrame:
        """Score once and return all that a flag needs.

        Returns
        -------
        verdicts : DataFrame
            One row an item: ``anomaly_score`` and ``raw_score`` (float64, higher = more anomalous),
            ``p_value`` in (0, 1], ``is_anomaly`` and ``is_extrapolated`` (bool).
        """
        check_is_fitted(self, "calibration_")
        verdicts = judge(self._raw_score(X), self.calibration_, self.threshold_.value)
        return pd.DataFrame(
            {
                "anomaly_score": verdicts.score,
                "p_value": verdicts.p_value,
                "is_anomaly": verdicts.is_anomaly,
                "is_extrapolated": verdicts.is_extrapolated,
                "raw_score": verdicts.raw_score,
            }
        )

    def score_samples(self, X: object) -> Floats:
        """Return ``-anomaly_score``, shape (N,): lower = more anomalous, as scikit-learn has it."""
        return -self.anomaly_score(X)

    def decision_function(self, X: object) -> Floats:
        """Return ``score_samples - offset_``, shape (N,): below 0 = anomaly."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: object) -> Ints:
        """Return -1 for an anomaly and +1 for a normal item, shape (N,), int64."""
        flags = is_flagged(self.anomaly_score(X), self.threshold_.value)
        return np.where(flags, -1, 1).astype(np.int64)

    @property
    def offset_(self) -> float:
        """The `score_samples` value below which an item is flagged."""
        check_is_fitted(self, "threshold_")
        return -self.threshold_.value

    def set_threshold(self, threshold: Threshold) -> Self:
        """Use another operating point from now on.

        Raises
        ------
        ConfigError
            If ``threshold`` is not a `Threshold`, or lies where no score does.
        """
        check_is_fitted(self, "calibration_")
        if not isinstance(threshold, Threshold):
            raise ConfigError(
                f"set_threshold takes a Threshold; got {type(threshold).__name__}. "
                "Make one with Threshold.from_fpr(scores, 0.01)."
            )
        if threshold.basis != "score":
            raise ConfigError(
                f"This threshold bounds what verdicts have taught ({threshold.bound_text}): it "
                "belongs to the second stage. Store it with: vae-anomaly threshold apply MODEL FILE"
            )
        if abs(threshold.value) > MAX_THRESHOLD:
            raise ConfigError(
                f"A threshold is -log10 p, between {-MAX_THRESHOLD:g} and {MAX_THRESHOLD:g}; got "
                f"{threshold.value:g}. Make one with Threshold.from_fpr(scores, 0.01)."
            )
        self.threshold_ = threshold
        return self

    def recalibrate(
        self, raw_score: ArrayLike, groups: Ints | None = None, *, record: Recalibration
    ) -> Self:
        """Make p-values and threshold anew of other normals; what turns items to scores stays.

        Probabilities are taken away, as they were made for other scores, and so is what training
        measured for the model's page.

        Parameters
        ----------
        raw_score : array-like of shape (N,)
            ``assess(X)["raw_score"]`` of normals that nothing was fitted on, which are what new
            items will be like.
        groups : ndarray of shape (N,), int64, optional
            Items of one group are not independent.
        record : Recalibration
            Kept with the model; its ``target_fpr`` chooses the threshold.

        Raises
        ------
        CalibrationError
            If there is no score, or one is not finite.
        """
        check_is_fitted(self, "calibration_")
        left_out, training, baseline = self.left_out_, self.training_, self.baseline_
        confirmed = self.left_out_confirmed_
        made = (*self.recalibrated_, record)
        self.target_fpr = record.target_fpr
        self._calibrate(np.asarray(raw_score, np.float64), groups)
        self.left_out_, self.recalibrated_, self.baseline_ = left_out, made, baseline
        self.left_out_confirmed_ = confirmed
        if training is not None:
            self.training_ = training | {"held_out": None, "evaluation": None}
        self.metrics_ = without_old_figures(self.metrics_) | {"threshold": self.threshold_.value}
        return self

    @available_if(_probability_of)  # type: ignore[untyped-decorator]  # sklearn is untyped
    def predict_proba(self, X: object) -> Floats:
        """Return P(normal) and P(anomaly) of each item, shape (N, 2), rows sum to 1.

        There only after `set_probability`; it holds where anomalies are as frequent as
        ``probability_.base_rate`` says.
        """
        anomalous = _probability_of(self).predict(self.anomaly_score(X))
        return np.column_stack([1.0 - anomalous, anomalous])

    def set_probability(self, probability: ScoreProbability | None) -> Self:
        """Turn scores into probabilities from now on; None takes them away. Scores stay.

        Parameters
        ----------
        probability : ScoreProbability or None
            From `calibrate_probability`, on scores of this detector.

        Raises
        ------
        ConfigError
            If it is something else.
        """
        check_is_fitted(self, "calibration_")
        if probability is not None and not isinstance(probability, ScoreProbability):
            raise ConfigError(
                f"set_probability takes a ScoreProbability; got {type(probability).__name__}. "
                "Make one with calibrate_probability(det.anomaly_score(X), y)."
            )
        self.probability_ = probability
        return self

    def save(self, path: str | Path) -> Path:
        """Write the model directory; `vae_anomaly.load_detector` reads it back.

        Raises
        ------
        ConfigError
            If ``path`` holds something that is not a model.
        StorageError
            If it cannot be written; nothing half-written stays behind.
        """
        check_is_fitted(self, "calibration_")
        fitted = self.probability_
        state = replace(
            self._state(),
            probability=None if fitted is None else fitted.to_dict(),
            left_out=[asdict(item) for item in self.left_out_],
            left_out_confirmed=list(self.left_out_confirmed_),
            training=self.training_,
            recalibrated=[asdict(one) for one in self.recalibrated_],
            baseline=None if self.baseline_ is None else self.baseline_.to_dict(),
        )
        return write_model(state, path)

    def _calibrate(self, held_out_scores: Floats, groups: Ints | None = None) -> None:
        """Set calibration and default threshold by raw scores of normals nothing was fitted on."""
        self.calibration_ = ConformalCalibration.fit(held_out_scores)
        by_score = np.argsort(held_out_scores, kind="stable")
        self.calibration_groups_ = None if groups is None else groups[by_score]
        self.threshold_ = default_threshold(
            self.calibration_, self.target_fpr, self.calibration_groups_
        )
        self.probability_ = None  # it was made for other scores
        self.left_out_, self.training_, self.recalibrated_ = (), None, ()
        self.left_out_confirmed_, self.baseline_ = (), None

    def _note_left_out(self, items: Sequence[LeftOut]) -> None:
        """Keep which training items were left out, and say so; `metrics_` counts them."""
        self.left_out_ = tuple(items)
        dropped = int(self.metrics_.get("dropped_held_out", 0))
        if items and dropped:
            note = left_out_note(dropped, self.calibration_.n + dropped)
            self.threshold_ = self.threshold_.changed(note=f"{self.threshold_.note} {note}".strip())
        if items:
            logger.warning(left_out_words(self.left_out_))


def default_threshold(
    calibration: ConformalCalibration, target_fpr: float, groups: AnyArray | None = None
) -> Threshold:
    """Choose the threshold at ``target_fpr``, or at the smallest rate that the normals support.

    Groups that are too few for the rate leave the threshold where single normals put it; its note
    and its interval then say what that means for an item of a new group.
    """
    scores = calibration.reference_scores()
    try:
        return Threshold.from_fpr(scores, target_fpr, groups=groups)
    except CalibrationError:
        count = calibration.n if groups is None else len(np.unique(groups))
        smallest = smallest_fpr(count)
    if groups is None:
        note = (
            f"{number_of(count, 'held-out normal')} support no false-positive rate below "
            f"{smallest:.3g}; {target_fpr:g} was asked for. Train on more normals for a lower one."
        )
        logger.warning(note)
        return Threshold.from_fpr(scores, smallest).changed(note=note)
    single = default_threshold(calibration, target_fpr)
    note = (
        f"{target_fpr:g} is counted over items: {number_of(count, 'group')} of held-out normals "
        f"promise {smallest:.2g} at best for an item of a new group. Train on more groups."
    )
    logger.warning(note)
    rate = rate_above(scores, single.value, groups)
    return single.changed(expected_fpr=rate, note=f"{single.note} {note}".strip())
