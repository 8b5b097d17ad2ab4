"""From an anomaly score to the probability of an anomaly, where labelled items exist.

A p-value says how anomalous an item is among normals; how likely it is an anomaly depends on how
often anomalies occur. **A probability is only as right as its base rate**: it holds where the share
of anomalies is that of the labelled set, or the one that Bayes' rule moved it to
(`ScoreProbability.at_base_rate`). The map is fitted on all labelled items; its Brier score and
reliability are measured on items that were left out of fitting it (cross-fitting, groups whole).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from vae_anomaly.arrays import AnyArray, Bools, Floats
from vae_anomaly.errors import CalibrationError, ConfigError
from vae_anomaly.files import sha256_of
from vae_anomaly.metrics import Interval, checked_labels, checked_scores, proportion_interval
from vae_anomaly.state import JsonRecord

Method = Literal["isotonic", "sigmoid"]
_N_FOLDS, _N_BINS, _N_RESAMPLES = 5, 10, 400
ALMOST_FREE = 1e6  # inverse penalty; the smoothed targets keep the fit finite


class ReliabilityBin(BaseModel):
    """Items of similar predicted probability, and the share of them that are anomalies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    predicted: float
    observed: Interval


class ScoreProbability(JsonRecord):
    """A rising map from anomaly scores to P(anomaly), and how well it held on items left out.

    Parameters
    ----------
    method : {"isotonic", "sigmoid"}
    scores, probabilities : tuple of float
        Knots of the map, linear in between and flat beyond them; of the sigmoid its slope and
        intercept stand in ``parameters`` and there are no knots.
    parameters : dict of str to float
    fitted_base_rate : float in (0, 1)
        Share of anomalies in the labelled set.
    base_rate : float in (0, 1)
        Share of anomalies for which the probabilities hold.
    brier, brier_of_base_rate : Interval, float
        Mean squared error of the probability on items left out, lower = better; and of always
        saying the base rate. Both at the base rate of the labelled set.
    reliability : tuple of ReliabilityBin
        On items left out, at the base rate of the labelled set.
    n_normals, n_anomalies : int
    data_hash : str
        SHA-256 of scores and labels.
    model_version : str
        The model it was made for; empty = any.
    created : str
        ISO date.
    """

    noun: ClassVar[str] = "a calibrated probability"
    remedy: ClassVar[str] = "Make one with: vae-anomaly probability fit MODEL INPUT --labels COLUMN"

    method: Method
    scores: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()
    parameters: dict[str, float] = Field(default_factory=dict)
    fitted_base_rate: float = Field(gt=0, lt=1)
    base_rate: float = Field(gt=0, lt=1)
    brier: Interval
    brier_of_base_rate: float
    reliability: tuple[ReliabilityBin, ...] = ()
    n_normals: int = 0
    n_anomalies: int = 0
    data_hash: str = ""
    model_version: str = ""
    created: str = Field(default_factory=lambda: datetime.now(UTC).date().isoformat())

    @model_validator(mode="after")
    def _has_a_map(self) -> Self:
        numbers = [*self.scores, *self.probabilities, *self.parameters.values()]
        rises = all(np.all(np.diff(knots) >= 0) for knots in (self.scores, self.probabilities))
        if not np.isfinite(numbers).all() or not rises:
            raise ValueError("its knots do not rise, or are no finite numbers")
        if not all(0 < p < 1 for p in self.probabilities):
            raise ValueError("a probability is not between 0 and 1")
        if self.method == "sigmoid" and self.parameters.keys() != {"slope", "intercept"}:
            raise ValueError("a sigmoid has a slope and an intercept")
        if self.method == "isotonic" and not 0 < len(self.scores) == len(self.probabilities):
            raise ValueError("each knot has a score and a probability")
        return self

    def predict(self, scores: ArrayLike) -> Floats:
        """Return P(anomaly) of anomaly scores, shape (N,), in (0, 1); never falls with the score.

        Raises `CalibrationError` if a score is not finite.
        """
        values = np.asarray(scores, dtype=np.float64).reshape(-1)
        if values.size == 0:
            return values
        p = self._fitted(checked_scores(values))
        odds = p / (1.0 - p) * _odds(self.base_rate) / _odds(self.fitted_base_rate)
        return np.asarray(odds / (1.0 + odds))

    def at_base_rate(self, base_rate: float) -> Self:
        """Return the map for another share of anomalies, between 0 and 1, by Bayes' rule.

        It is exact where normals and anomalies each score as those of the labelled set and only
        their shares differ (Saerens, Latinne and Decaestecker, 2002).
        """
        if not 0 < base_rate < 1:
            raise ConfigError(
                f"The share of anomalies must be between 0 and 1; got {base_rate:g}. "
                "Give 0.001 for one item in a thousand."
            )
        return self.model_copy(update={"base_rate": float(base_rate)})

    def for_model(self, model_version: str) -> Self:
        """Return the same map, bound to a model version."""
        return self.model_copy(update={"model_version": model_version})

    def _fitted(self, scores: Floats) -> Floats:
        if self.method == "isotonic":
            return np.interp(scores, self.scores, self.probabilities)
        logit = self.parameters["slope"] * scores + self.parameters["intercept"]
        bounded = np.clip(logit, -700.0, 30.0)  # beyond, 1 - p is 0 in floating point
        return np.asarray(1.0 / (1.0 + np.exp(-bounded)))


def calibrate_probability(
    scores: ArrayLike,
    labels: ArrayLike,
    method: Method = "isotonic",
    groups: ArrayLike | None = None,
    *,
    random_state: int = 0,
) -> ScoreProbability:
    """Learn how likely an item of a given score is an anomaly.

    Parameters
    ----------
    scores : array-like of shape (N,)
        Anomaly scores of items that the model did not train on, higher = more anomalous.
    labels : array-like of shape (N,), 1 = anomaly
    method : {"isotonic", "sigmoid"}
        Isotonic regression, for some hundred anomalies and more; it makes plateaus, so that items
        tie whose scores differ. Platt's sigmoid, strictly rising, for few.
    groups : array-like of shape (N,), optional
        Items of one part, customer or camera are never on both sides of a fold.
    random_state : int
        Of the folds and the bootstrap.

    Returns
    -------
    probability : ScoreProbability
        At the base rate of the labels.

    Raises
    ------
    CalibrationError
        If a class is absent or has a single item (or group), or scores fall with anomalies.

    References
    ----------
    Platt, Probabilistic outputs for support vector machines, 1999; Zadrozny and Elkan,
    Transforming classifier scores into accurate multiclass probability estimates, 2002.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> scores = np.r_[rng.normal(0, 1, 900), rng.normal(3, 1, 100)]
    >>> probability = calibrate_probability(scores, np.r_[np.zeros(900), np.ones(100)], "sigmoid")
    >>> probability.predict([0.0, 2.0]).round(2).tolist()
    [0.0, 0.42]
    """
    if method not in ("isotonic", "sigmoid"):
        raise ConfigError(f"The method is 'isotonic' or 'sigmoid'; got {method!r}.")
    s = checked_scores(scores)
    y = checked_labels(labels, s.size)
    members = None if groups is None else np.asarray(groups).reshape(-1)
    left_out = _left_out(s, y, method, members, random_state)
    rate = float(y.mean())
    whole = _fit(s, y, method)
    return ScoreProbability(
        **whole,
        method=method,
        fitted_base_rate=rate,
        base_rate=rate,
        brier=_brier(left_out, y, members, random_state),
        brier_of_base_rate=rate * (1.0 - rate),
        reliability=_reliability(left_out, y),
        n_normals=int(np.sum(~y)),
        n_anomalies=int(np.sum(y)),
        data_hash=sha256_of(s.tobytes(), y.tobytes()),
    )


def _left_out(
    scores: Floats, y: Bools, method: Method, groups: AnyArray | None, random_state: int
) -> Floats:
    """Return the probability of every item by a map fitted without it (and its group)."""
    names = np.arange(y.size) if groups is None else groups
    least = min(np.unique(names[y]).size, np.unique(names[~y]).size)
    if least < 2:
        raise CalibrationError(
            "A probability is checked on items left out, so it needs at least 2 anomalies and 2 "
            f"normals{' in different groups' if groups is not None else ''}; got {least} of the "
            "rarer. Label more items."
        )
    splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
    folds = splitter(min(_N_FOLDS, least), shuffle=True, random_state=random_state)
    left_out = np.empty_like(scores)
    for train, test in folds.split(scores[:, None], y, groups):
        if y[train].all() or not y[train].any():
            raise CalibrationError(
                "The groups cannot be divided so that both sides hold anomalies and normals. "
                "Label items of more groups, or leave groups out."
            )
        left_out[test] = _predicted(_fit(scores[train], y[train], method), method, scores[test])
    return left_out


def _fit(scores: Floats, y: Bools, method: Method) -> dict[str, Any]:
    """Return the fields that make the map."""
    if method == "isotonic":
        return _fit_isotonic(scores, y)
    return {"parameters": _fit_sigmoid(scores, y)}


def _fit_isotonic(scores: Floats, y: Bools) -> dict[str, Any]:
    """Fit a rising step map; no item is said to be certain on the strength of N others."""
    edge = 1.0 / (y.size + 2.0)
    model = IsotonicRegression(y_min=edge, y_max=1.0 - edge, out_of_bounds="clip")
    model.fit(scores, y.astype(np.float64))
    return {
        "scores": tuple(model.X_thresholds_.tolist()),
        "probabilities": tuple(model.y_thresholds_.tolist()),
    }


def _fit_sigmoid(scores: Floats, y: Bools) -> dict[str, float]:
    """Fit Platt's sigmoid, with his targets a little away from 0 and 1."""
    n_odd, n_normal = float(np.sum(y)), float(np.sum(~y))
    target = np.where(y, (n_odd + 1.0) / (n_odd + 2.0), 1.0 / (n_normal + 2.0))
    center, scale = float(scores.mean()), float(scores.std()) or 1.0
    both = np.concatenate([scores, scores])[:, None]
    model = LogisticRegression(C=ALMOST_FREE, max_iter=1000).fit(
        (both - center) / scale,
        np.repeat([1, 0], scores.size),
        sample_weight=np.concatenate([target, 1.0 - target]),
    )
    slope = float(model.coef_[0, 0]) / scale
    if slope < 0:
        raise CalibrationError(
            "Anomalies score lower than normals in the labelled items, so a higher score cannot "
            "mean a higher probability. Check the labels: 1 is an anomaly."
        )
    return {"slope": slope, "intercept": float(model.intercept_[0]) - slope * center}


def _predicted(fields: dict[str, Any], method: Method, scores: Floats) -> Floats:
    return ScoreProbability.model_construct(method=method, **fields)._fitted(scores)


def _brier(p: Floats, y: Bools, groups: AnyArray | None, random_state: int) -> Interval:
    """Return the mean squared error, with its interval from resampled items or groups."""
    error = np.square(p - y)
    unit = np.arange(y.size) if groups is None else np.unique(groups, return_inverse=True)[1]
    total, size = np.bincount(unit, error), np.bincount(unit)
    rng = np.random.default_rng(random_state)
    draws = []
    for _ in range(_N_RESAMPLES):
        drawn = rng.integers(0, size.size, size.size)
        draws.append(total[drawn].sum() / size[drawn].sum())
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(error.mean()), float(low), float(high))


def _reliability(p: Floats, y: Bools) -> tuple[ReliabilityBin, ...]:
    """Cut the items into bins by predicted probability, with about as many anomalies in each.

    Anomalies are rare: bins of equal numbers of items would put all of them into one.
    """
    edges = np.unique(np.quantile(p[y], np.linspace(0, 1, _N_BINS + 1)[1:-1]))
    place = np.searchsorted(edges, p, side="right")
    bins = []
    for one in np.unique(place):
        at = place == one
        observed = proportion_interval(float(np.sum(y & at)), float(np.sum(at)))
        bins.append(
            ReliabilityBin(n=int(at.sum()), predicted=float(p[at].mean()), observed=observed)
        )
    return tuple(bins)


def _odds(rate: float) -> float:
    return rate / (1.0 - rate)
