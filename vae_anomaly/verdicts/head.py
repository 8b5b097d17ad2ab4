"""The head: what reviewers' verdicts say of evidence, beside what the score says already.

A ridge logistic regression towards a prior, not towards zero: without verdicts the probability
follows the raw score alone, nat for nat; each verdict moves it a little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit

from vae_anomaly.arrays import AnyFloats, Bools, Floats, Ints

_CLIP: Final = 6.0  # standard deviations
_BENDS: Final = (1.5, 3.0)  # where what is unusual may count more, in standard deviations
_RIDGE_BEYOND: Final = 3.0  # of what lies beyond a bend, in ridges: of that there are few items
_BEYOND_ALL: Final = 1e300  # standard deviation of a feature that is left out
_STEPS: Final = 50
_CLOSE: Final = 1e-9  # of the loss, between two steps of Newton's method
_SHORTEST: Final = 1e-6  # part of a step
_LEAST_WITHIN: Final = 0.5  # of a feature's variance, within nights
_FREE: Final = 1e-6  # ridge of the intercept


@dataclass(frozen=True)
class ScoreHead:
    """Log-odds of a reviewer's confirmation, from the evidence of N items.

    Parameters
    ----------
    middle, centre, spread : ndarray of shape (F,), float64
        Medians for missing values; means and standard deviations of unreviewed items. A feature
        that is left out has one of 1e300.
    coefficients : ndarray of shape (1 + 3 F,), float64
        The intercept, then the standardised features and what of them lies beyond each bend.
    """

    middle: Floats
    centre: Floats
    spread: Floats
    coefficients: Floats

    @classmethod
    def fit(
        cls,
        features: AnyFloats,
        labels: Bools,
        weights: Floats,
        usual: Bools,
        ridge: float,
        nights: Ints | None = None,
    ) -> ScoreHead:
        """Learn from reviewed items and a sample of unreviewed ones, which stand for normals.

        Where nights are given, a feature that tells nights apart and not the items of one, such as
        the day of the week, is left out: a few nights say nothing of the next, whatever the number
        of their items, and no night is ranked better by it.

        Parameters
        ----------
        features : ndarray of shape (N, F)
            Column 0 is the raw score, in nats; NaN is a missing value.
        labels : ndarray of shape (N,), bool
        weights : ndarray of shape (N,), float64
        usual : ndarray of shape (N,), bool
            The unreviewed items, by which features are standardised; all where there are none.
        ridge : float
            Weight of the prior; that of the raw score is a coefficient of 1 per
            standard deviation. What lies beyond a bend has three times as much.
        nights : ndarray of shape (N,), int, optional
        """
        usual = usual if usual.any() else np.ones(len(features), np.bool_)
        sample = np.where(np.isfinite(features[usual]), features[usual], np.nan)
        middle = np.zeros(sample.shape[1])
        known = ~np.isnan(sample).all(axis=0)
        middle[known] = np.nanmedian(sample[:, known], axis=0)
        filled = np.where(np.isfinite(sample), sample, middle)
        spread = np.asarray(filled.std(axis=0), np.float64)
        spread[spread <= 0.0] = 1.0
        if nights is not None:
            spread[1:][_within(filled[:, 1:], nights[usual]) < _LEAST_WITHIN] = _BEYOND_ALL
        head = cls(middle, np.asarray(filled.mean(axis=0), np.float64), spread, np.empty(0))
        design = head._design(features)
        prior = np.zeros(design.shape[1])
        prior[1] = 1.0
        coefficients = _ridge_logistic(design, labels.astype(np.float64), weights, prior, ridge)
        return cls(middle, head.centre, spread, coefficients)

    def __call__(self, features: AnyFloats) -> Floats:
        """Return the log-odds of items (N, F), shape (N,)."""
        return np.asarray(self._design(features) @ self.coefficients, np.float64)

    def beyond_prior(self, features: AnyFloats) -> Floats:
        """Return what verdicts have added to the log-odds of items by feature, shape (N, F)."""
        learned = self.coefficients.copy()
        learned[1] -= 1.0
        parts = (self._design(features) * learned)[:, 1:]
        return np.asarray(parts.reshape(len(parts), -1, len(self.centre)).sum(axis=1))

    def _design(self, features: AnyFloats) -> Floats:
        known = np.where(np.isfinite(features), features, self.middle)
        whole = (known - self.centre) / self.spread
        z = np.clip(whole, -_CLIP, _CLIP)
        beyond = [np.maximum(z - bend, 0.0) for bend in _BENDS]
        z[:, 0] = whole[:, 0]  # two scores that are both far out do not tie
        return np.column_stack([np.ones(len(z)), z, *beyond])


def _within(values: Floats, nights: Ints) -> Floats:
    """Return the share of each column's variance (N, F) that lies within nights, shape (F,)."""
    _, group = np.unique(nights, return_inverse=True)
    count = np.bincount(group)
    means = np.array([np.bincount(group, column) / count for column in values.T]).T
    inside = np.mean((values - means.reshape(len(count), -1)[group]) ** 2, axis=0)
    total = values.var(axis=0)
    return np.asarray(np.divide(inside, total, out=np.ones_like(inside), where=total > 0.0))


def prior_offset(raw_score: AnyFloats, rate: float) -> float:
    """Return what to take off raw scores, so that they are log-odds that are right on the whole.

    The mean probability of the items is then ``rate``, the share of anomalies that is taken for
    granted before anybody has looked.
    """
    u = np.asarray(raw_score, np.float64)
    low, high = float(u.min()) - 50.0, float(u.max()) + 50.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        if float(expit(u - middle).mean()) > rate:
            low = middle
        else:
            high = middle
    return high


def normal_offset(normal_scores: AnyFloats, rate: float) -> float:
    """Return what `prior_offset` would give for a night with anomalies, from normals alone.

    About half of a probability that is right on the whole lies on the anomalies themselves, which
    are not among these.
    """
    return prior_offset(normal_scores, 0.5 * rate)


def _ridge_logistic(
    design: Floats, labels: Floats, weights: Floats, prior: Floats, ridge: float
) -> Floats:
    """Minimise the weighted logistic loss plus ``ridge / 2`` times the squared way from the prior.

    Newton's method; the intercept is free, and begins where the prior is right on the whole.
    """
    n_features = (design.shape[1] - 1) // (1 + len(_BENDS))
    penalty = np.full(design.shape[1], ridge)
    penalty[0] = _FREE
    penalty[1 + n_features :] *= _RIDGE_BEYOND
    b = prior.copy()
    share = np.clip(float(weights @ labels / weights.sum()), 1e-9, 1.0 - 1e-9)
    b[0] = np.log(share / (1.0 - share)) - float(np.average(design @ prior, weights=weights))
    loss = _loss(design, labels, weights, prior, penalty, b)
    for _ in range(_STEPS):
        p = expit(design @ b)
        slope = design.T @ (weights * (p - labels)) + penalty * (b - prior)
        step = _newton_step(design, weights * p * (1.0 - p), penalty, slope)
        length = 1.0
        while (after := _loss(design, labels, weights, prior, penalty, b - length * step)) > loss:
            length *= 0.5
            if length < _SHORTEST:
                return b
        b = b - length * step
        if loss - after < _CLOSE * (1.0 + abs(after)):
            break
        loss = after
    return b


def _newton_step(design: Floats, bend: Floats, penalty: Floats, slope: Floats) -> Floats:
    """Solve for the step, in as many unknowns as there are columns or items (Woodbury)."""
    n_items, n_columns = design.shape
    if n_columns <= n_items:
        curve = (design.T * bend) @ design + np.diag(penalty)
        return np.asarray(np.linalg.solve(curve, slope))
    scaled = design * np.sqrt(bend)[:, None]
    alone = slope / penalty
    between = (scaled / penalty) @ scaled.T + np.eye(n_items)
    return np.asarray(alone - (scaled.T @ np.linalg.solve(between, scaled @ alone)) / penalty)


def _loss(
    design: Floats, labels: Floats, weights: Floats, prior: Floats, penalty: Floats, b: Floats
) -> float:
    eta = design @ b
    misfit = weights @ (np.logaddexp(0.0, eta) - labels * eta)
    return float(misfit + 0.5 * (penalty @ (b - prior) ** 2))
