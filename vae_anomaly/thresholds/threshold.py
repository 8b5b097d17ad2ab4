"""A threshold: what it is, and the ways to choose one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, Self

import numpy as np
from numpy.typing import ArrayLike

from vae_anomaly.errors import CalibrationError, ConfigError
from vae_anomaly.metrics import checked_labels, checked_scores
from vae_anomaly.thresholds.catalogue import POLICIES, cost_policy, label_policy
from vae_anomaly.thresholds.conformal import require_order
from vae_anomaly.thresholds.items import ScoredItems
from vae_anomaly.thresholds.policies import batch, normals
from vae_anomaly.thresholds.policy import LabelPolicy, Policy, Request, ScorePolicy
from vae_anomaly.thresholds.record import ThresholdRecord, data_hash
from vae_anomaly.thresholds.rules import checked_costs, flag_quality, pick

P = ParamSpec("P")


def _constructor(make: Callable[P, ThresholdRecord]) -> staticmethod[P, Threshold]:
    """Return what a policy makes of arrays, as a constructor of `Threshold`."""

    @wraps(make)
    def construct(*args: P.args, **kwargs: P.kwargs) -> Threshold:
        return Threshold(**dict(make(*args, **kwargs)))

    return staticmethod(construct)


class Threshold(ThresholdRecord):
    """A bound on the anomaly score, chosen by a policy, with what to expect of it.

    Fields, reading and writing are those of `ThresholdRecord`. Each policy that needs scores only
    brings its ``from_NAME``; those that need labels are told to `from_labels` and `from_cost`.

    Examples
    --------
    >>> import numpy as np
    >>> normal_scores = np.linspace(0.0, 3.0, 200)
    >>> threshold = Threshold.from_fpr(normal_scores, 0.05)
    >>> threshold.flag([2.0, 2.9]).tolist()
    [False, True]
    """

    from_fpr = _constructor(normals.from_fpr)
    from_max_alarms = _constructor(normals.from_max_alarms)
    from_quantile = _constructor(normals.from_quantile)
    from_tail = _constructor(normals.from_tail)
    from_manual = _constructor(normals.from_manual)
    from_fdr = _constructor(batch.from_fdr)
    from_capacity = _constructor(batch.from_capacity)

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
            Name of a `LabelPolicy` in the catalogue; ``"f1"``, ``"f2"``, ``"f0.5"`` ... are F-beta.
        target : float, optional
            The number that the policy needs, for example the recall to be reached.
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
        chosen, request = label_policy(policy, target)
        return cls._tuned(chosen, request, scores, labels, None, groups, random_state)

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
        scores, labels, groups, random_state
            As in `from_labels`.
        cost_fp : float >= 0
            Cost of one false alarm.
        cost_fn : float >= 0
            Cost of one miss; with ``amounts``, per unit of amount.
        amounts : array-like of shape (N,), optional
            Amount at stake in each item, non-negative.

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
        policy, request = cost_policy(cost_fp, cost_fn)
        return cls._tuned(policy, request, scores, labels, amounts, groups, random_state)

    @classmethod
    def of_policy(cls, policy: Policy, items: ScoredItems, request: Request) -> Self:
        """Choose a threshold by a policy of the catalogue.

        Raises
        ------
        ConfigError
            If the policy needs labels and there are none.
        CalibrationError
            If the scores cannot support what is asked for.
        """
        if isinstance(policy, ScorePolicy):
            return cls(**dict(policy.choose(items, request)))
        if items.labels is None:
            raise ConfigError(
                f"{policy.options[0].flag} weighs anomalies against normals, so it needs labelled "
                "items. Add --input PATH (or --scores FILE) and --labels COLUMN, or ask for "
                "--target-fpr."
            )
        tuned = cls._tuned(policy, request, items.scores, items.labels, items.amounts, items.groups)
        return tuned.changed(basis=items.basis)

    @classmethod
    def _tuned(
        cls,
        policy: LabelPolicy,
        request: Request,
        scores: ArrayLike,
        labels: ArrayLike,
        amounts: ArrayLike | None,
        groups: ArrayLike | None,
        random_state: int = 0,
    ) -> Self:
        s = checked_scores(scores)
        y = checked_labels(labels, s.size)
        rule, weights = policy.rule_for(request), None
        if policy.priced:
            weights = checked_costs(request["cost_fp"], request["cost_fn"], y, amounts)
        require_order(s)
        if np.sum(~y) < 2:
            raise CalibrationError(
                "A threshold needs at least 2 normal items to be measured on; got 1. Label more."
            )
        members = None if groups is None else np.asarray(groups).reshape(-1)
        picked = pick(rule, y, s, weights=weights, groups=members, random_state=random_state)
        flags = s > picked.value if picked.flags is None else picked.flags
        quality = flag_quality(flags, y, weights=weights, groups=members, random_state=random_state)
        return cls(
            value=picked.value,
            policy=policy.name,
            parameters=policy.asked(request) | {"nested_folds": picked.folds},
            n_normals=int(np.sum(~y)),
            n_anomalies=int(np.sum(y)),
            data_hash=data_hash(s, y),
            note=picked.describe("labels"),
        ).changed(**quality.expected())


for _policy in POLICIES.values():
    if isinstance(_policy, ScorePolicy) and not hasattr(Threshold, f"from_{_policy.name}"):
        setattr(Threshold, f"from_{_policy.name}", _constructor(_policy.make))
