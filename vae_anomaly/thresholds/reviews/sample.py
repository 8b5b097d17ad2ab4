"""Thresholds from reviewers' verdicts, corrected for the fact that mostly flagged items were seen.

Verdicts on flagged items alone overstate recall (misses were never looked at) and the share of
anomalies. Each reviewed item is therefore weighted by how many items it stands for: within a score
stratum of flagged items, flagged over reviewed; among unflagged ones, unflagged over *audited*, the
ones drawn at random for review. Without an audit nothing is known below the old threshold, and
nothing is claimed: no recall, no cost, no threshold below the old one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from vae_anomaly.arrays import AnyArray, Bools, Floats, Indices
from vae_anomaly.errors import CalibrationError
from vae_anomaly.metrics import checked_labels, checked_scores
from vae_anomaly.thresholds.catalogue import cost_policy, label_policy
from vae_anomaly.thresholds.policy import LabelPolicy, Request
from vae_anomaly.thresholds.reviews.quality import counted, reviewed_quality
from vae_anomaly.thresholds.rules import FlagQuality, checked_costs, pick
from vae_anomaly.thresholds.threshold import Threshold
from vae_anomaly.words import number_of

_MAX_STRATA = 5
_MIN_REVIEWED = 10  # reviewed items of a stratum


@dataclass(frozen=True)
class ReviewedSample:
    """Reviewed items, each with the number of items that it stands for.

    Parameters
    ----------
    scores : ndarray of shape (M,), float64, higher = more anomalous
    labels : ndarray of shape (M,), bool
        True = confirmed anomaly, False = false alarm (or an audited item that is fine).
    weights : ndarray of shape (M,), float64
        Items represented, 1 or more.
    stratum : ndarray of shape (M,), int
        -1: reviewed for a reason of its own (a complaint), stands for itself only.
    all_scores : ndarray of shape (N,), float64
        Of all items, reviewed or not.
    all_strata : ndarray of shape (N,), int
    confirmed : ndarray of shape (N,), bool
        Anomalies by their verdict; False where there is none.
    n_flagged, n_audited : int
        Items flagged when they were reviewed, unflagged ones reviewed because drawn at random.
    bound : float
        Items at or below it were not flagged when they were reviewed.
    groups : ndarray of shape (M,), optional
    amounts : ndarray of shape (M,), optional
    given : mapping of str to ndarray of shape (N,), or None
        What `of` was told beside the scores.
    """

    scores: Floats
    labels: Bools
    weights: Floats
    stratum: Indices
    all_scores: Floats
    all_strata: Indices
    confirmed: Bools
    n_flagged: int
    n_audited: int
    bound: float
    groups: AnyArray | None = None
    amounts: Floats | None = None
    given: Mapping[str, AnyArray | None] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        scores: ArrayLike,
        verdicts: ArrayLike,
        *,
        flagged: ArrayLike,
        audit: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        amounts: ArrayLike | None = None,
    ) -> ReviewedSample:
        """Weight reviewed items for what was not reviewed.

        Parameters
        ----------
        scores : array-like of shape (N,)
            Anomaly scores of all items, reviewed or not.
        verdicts : array-like of shape (N,), float
            1 = confirmed, 0 = false alarm, NaN = not reviewed.
        flagged : array-like of shape (N,), bool
            Flagged when the reviewers saw them.
        audit : array-like of shape (N,), bool, optional
            Reviewed because drawn at random.
        groups, amounts : array-like of shape (N,), optional

        Raises
        ------
        CalibrationError
            If a score is not finite, or no flagged item was reviewed.

        References
        ----------
        Begg and Greenes, Assessment of diagnostic tests when disease verification is subject to
        selection bias, Biometrics 39, 1983.
        """
        s, verdict = checked_scores(scores), np.asarray(verdicts, dtype=np.float64).reshape(-1)
        flags = np.asarray(flagged, dtype=np.bool_).reshape(-1)
        at_random = (
            np.zeros(s.size, np.bool_) if audit is None else np.asarray(audit, dtype=np.bool_)
        )
        known = np.isfinite(verdict)
        _require_flagged_reviews(known, flags)
        stratum = _flagged_strata(s, known, flags)  # (N,), -1 = not flagged
        audited = known & at_random & ~flags
        stratum[~flags & ~(known & ~at_random)] = _MAX_STRATA  # represented by the audit
        weights = np.ones(s.size)
        for each in np.unique(stratum[known & (stratum >= 0)]):
            inside = stratum == each
            weights[inside] = inside.sum() / (inside & known).sum()
        return cls(
            scores=s[known],
            labels=verdict[known] == 1,
            weights=weights[known],
            stratum=stratum[known],
            all_scores=s,
            all_strata=stratum,
            confirmed=np.asarray(verdict == 1),
            n_flagged=int(flags.sum()),
            n_audited=int(audited.sum()),
            bound=_bound(s, flags),
            groups=None if groups is None else np.asarray(groups).reshape(-1)[known],
            amounts=None if amounts is None else np.asarray(amounts, np.float64)[known],
            given={"verdicts": verdict, "flagged": flags, "audit": at_random,
                   "groups": None if groups is None else np.asarray(groups).reshape(-1),
                   "amounts": None if amounts is None else np.asarray(amounts, np.float64)},
        )  # fmt: skip

    def rescored(self, scores: Floats) -> ReviewedSample:
        """Return the same reviews of the same items, which have other scores, (N,)."""
        return ReviewedSample.of(scores, **self.given)  # type: ignore[arg-type]  # as it was made

    @property
    def is_audited(self) -> bool:
        """Whether anything is known of the items that were not flagged."""
        return self.n_audited > 0 or self.n_flagged == self.all_scores.size

    def quality(
        self,
        value: float,
        flags: Bools | None = None,
        cost_fp: float | None = None,
        cost_fn: float | None = None,
    ) -> FlagQuality:
        """Say what a threshold is worth over all items.

        Parameters
        ----------
        value : float
            Flag when ``score > value``.
        flags : ndarray of shape (M,), bool, optional
            Of the reviewed items, where they were flagged without their own help (nested).
        cost_fp, cost_fn : float, optional
            Of a false alarm and of a miss (per unit of ``amounts``).
        """
        above = self.all_scores > value
        strata = np.unique(self.stratum[self.stratum >= 0])
        sizes = {int(each): counted(above, self.all_strata == each) for each in strata}
        stands_alone = int(np.sum(self.stratum < 0))
        unseen = self.all_scores.size - self.n_flagged - stands_alone
        return reviewed_quality(
            self.scores > value if flags is None else flags,
            self.labels,
            self.stratum,
            sizes,
            unseen=0 if self.is_audited else unseen,
            groups=self.groups,
            amounts=self.amounts,
            costs=None if cost_fp is None or cost_fn is None else (cost_fp, cost_fn),
        )

    def measured(
        self, threshold: Threshold, cost_fp: float | None = None, cost_fn: float | None = None
    ) -> Threshold:
        """Return a threshold with its figures estimated from the reviews.

        A figure that the reviews cannot tell is None, in particular all of them where the
        threshold lies below what was reviewed.
        """
        if not self.is_audited and threshold.value < self.bound:
            return threshold
        quality = self.quality(threshold.value, None, cost_fp, cost_fn)
        return threshold.changed(**quality.expected(), n_anomalies=int(self.labels.sum()))

    def describe(self) -> str:
        """Say what the verdicts rest on, and what they cannot tell."""
        at_random = self.stratum == _MAX_STRATA
        on_flagged = int(np.sum((self.stratum >= 0) & ~at_random))
        others = self.all_scores.size - self.n_flagged
        text = (
            f"From verdicts on {on_flagged:,} of {self.n_flagged:,} flagged items and on "
            f"{self.n_audited:,} of {others:,} others drawn at random, each "
            "weighted by how many it stands for."
        )
        if not self.is_audited:
            return (
                f"{text} Nobody reviewed a random sample of the items at or below "
                f"{self.bound:.4g}, so how many anomalies lie there is unknown: no recall, no "
                "cost, no lower threshold can be given. Have some drawn and reviewed: "
                "vae-anomaly feedback sample."
            )
        bad = int(np.sum(self.labels & at_random))
        return f"{text} {bad} of those drawn at random were anomalies; the recall rests on them."


def threshold_from_reviews(
    sample: ReviewedSample,
    policy: str,
    *,
    target: float | None = None,
    cost_fp: float | None = None,
    cost_fn: float | None = None,
    random_state: int = 0,
) -> Threshold:
    """Choose a threshold by a rule over reviewed items, weighted for what was not reviewed.

    Parameters
    ----------
    policy : str
        As for `Threshold.from_labels`, or ``"cost"``.
    target : float, optional
        The precision or recall to reach.
    cost_fp, cost_fn : float, optional
        For ``"cost"``.
    random_state : int
        Of the nested split.

    Raises
    ------
    CalibrationError
        If verdicts are all of one kind, or the policy needs to know what was missed and no random
        sample of unflagged items was reviewed.
    """
    prices = {"cost_fp": cost_fp, "cost_fn": cost_fn}
    if policy == "cost":
        chosen, request = cost_policy(*(math.nan if c is None else c for c in prices.values()))
    else:
        chosen, request = label_policy(policy, target)
        known = {name: cost for name, cost in prices.items() if cost is not None}
        request = Request({**request.numbers, **known})
    return choose_from_reviews(sample, chosen, request, random_state)


def choose_from_reviews(
    sample: ReviewedSample, policy: LabelPolicy, request: Request, random_state: int = 0
) -> Threshold:
    """Do what `threshold_from_reviews` says, for a policy of the catalogue."""
    checked_labels(sample.labels, sample.labels.size)
    if policy.needs_misses and not sample.is_audited:
        raise CalibrationError(
            f"The policy {policy.name} weighs what is missed, and of the items at or below "
            f"{sample.bound:.4g} only hand-picked ones or none were reviewed: recall there is "
            "unknown. Have a random sample of unflagged items reviewed (vae-anomaly feedback "
            "sample), or ask for --min-precision."
        )
    cost_fp, cost_fn = (request.numbers.get(name) for name in ("cost_fp", "cost_fn"))
    weights = sample.weights
    if policy.priced:
        costs = request["cost_fp"], request["cost_fn"]
        weights = weights * checked_costs(*costs, sample.labels, sample.amounts)
    picked = pick(
        policy.rule_for(request), sample.labels, sample.scores, weights=weights,
        groups=sample.groups, random_state=random_state,
    )  # fmt: skip
    value = picked.value if sample.is_audited else max(picked.value, sample.bound)
    quality = sample.quality(value, picked.flags, cost_fp, cost_fn)
    return Threshold(
        value=value,
        policy=policy.name,
        parameters={
            **policy.asked(request),
            "reviewed": sample.scores.size,
            "audited": sample.n_audited,
            "nested_folds": picked.folds,
        },
        n_normals=int(np.sum(~sample.labels)),
        n_anomalies=int(np.sum(sample.labels)),
        note=f"{picked.describe('verdicts')} {sample.describe()}",
    ).changed(**quality.expected())


def _require_flagged_reviews(known: Bools, flagged: Bools) -> None:
    if flagged.any() and not (known & flagged).any():
        raise CalibrationError(
            f"None of the {number_of(int(flagged.sum()), 'flagged item')} has a verdict "
            f"({int(known.sum())} others do). Check that the ids of the verdicts are those of the "
            "scores."
        )


def _flagged_strata(scores: Floats, known: Bools, flagged: Bools) -> Indices:
    """Return score strata of flagged items, each with enough verdicts; -1 elsewhere."""
    stratum = np.full(scores.size, -1, dtype=np.intp)
    if not flagged.any():
        return stratum
    n = int((known & flagged).sum())
    for wanted in range(min(_MAX_STRATA, max(1, n // _MIN_REVIEWED)), 0, -1):
        edges = np.quantile(scores[flagged], np.arange(1, wanted) / wanted)
        stratum[flagged] = np.searchsorted(edges, scores[flagged], side="left")
        reviewed = np.bincount(stratum[known & flagged], minlength=wanted)
        present = np.bincount(stratum[flagged], minlength=wanted) > 0
        if wanted == 1 or (reviewed[present] >= _MIN_REVIEWED).all():
            break
    return stratum


def _bound(scores: Floats, flagged: Bools) -> float:
    if flagged.all():
        return float(np.nextafter(scores.min(), -np.inf))
    return float(scores[~flagged].max())
