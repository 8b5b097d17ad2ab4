"""What learning is worth, on verdicts that were not yet learned from when their night was ranked.

Reviewed items were chosen by what was learned, so their count alone says nothing for it. Compared
are the first K of a night by what was learned and by the score, K being how many were reviewed of
it; items of these that nobody looked at count in favour of the score, at the rate of those that
somebody did. And the audits, drawn at random, may contradict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from vae_anomaly.arrays import Bools, Floats, Ints
from vae_anomaly.jobs.learning.heard import Heard
from vae_anomaly.metrics import Interval, proportion_interval
from vae_anomaly.verdicts.kept import KeptItems

LEVELS: Final = (0.05, 0.01)
MEASURED_NIGHTS: Final = 7
LEAST_AUDITS: Final = 60
"""Audits below which nothing is claimed: of that many without an anomaly, 5 % may be ones."""

LearningClaim = Literal["better", "not shown", "contradicted", "too few audits", "no night"]


@dataclass(frozen=True)
class FalseAlarms:
    """How often the combined p-value of an item that is not confirmed was at most a level.

    Parameters
    ----------
    level : float
    items : int
        Drawn at random from all of the last nights.
    share : Interval
        95 %.
    """

    level: float
    items: int
    share: Interval

    @property
    def is_exceeded(self) -> bool:
        """Whether there are more than the level says, by more than chance."""
        return self.share.low > self.level


@dataclass(frozen=True)
class RankComparison:
    """What was found by what was learned, and what by the score alone.

    Parameters
    ----------
    nights : int
        That were ranked by what was learned, and reviewed.
    confirmed : int
        Of these nights, however they were found.
    learned, by_score : int
        Confirmed ones among the first of each ranking.
    unseen : int
        Among the first by the score that nobody has looked at.
    reserve, reserve_confirmed : int
        Among the first by the score and not by what was learned that somebody has looked at; how
        many of these were confirmed.
    audits, audits_confirmed : int
        Items drawn at random.
    audits_learned, audits_by_score : int
        Confirmed audits that stand higher by what was learned than by the score, and lower.
    """

    nights: int = 0
    confirmed: int = 0
    learned: int = 0
    by_score: int = 0
    unseen: int = 0
    reserve: int = 0
    reserve_confirmed: int = 0
    audits: int = 0
    audits_confirmed: int = 0
    audits_learned: int = 0
    audits_by_score: int = 0

    @property
    def most_unseen(self) -> float:
        """At most how many anomalies are among the unseen, if those looked at are no worse."""
        return self.unseen * proportion_interval(self.reserve_confirmed, self.reserve).high

    @property
    def finding(self) -> LearningClaim:
        """What may be claimed."""
        if not self.nights:
            return "no night"
        if self.audits < LEAST_AUDITS:
            return "too few audits"
        if self.audits_by_score > self.audits_learned:
            return "contradicted"
        better = self.learned > self.by_score + self.most_unseen
        return "better" if better else "not shown"


def false_alarms(nights: Sequence[KeptItems], said: Heard) -> list[FalseAlarms]:
    """Measure the combined p-value on the last nights that were ranked by what was learned."""
    values = [_unconfirmed(kept, said) for kept in _ranked(nights)[-MEASURED_NIGHTS:]]
    p = np.concatenate(values) if values else np.empty(0)
    if not len(p):
        return []
    return [
        FalseAlarms(level, len(p), proportion_interval(int((p <= level).sum()), len(p)))
        for level in LEVELS
    ]


def rank_comparison(nights: Sequence[KeptItems], said: Heard) -> RankComparison:
    """Compare both rankings on the nights that were ranked by what was learned.

    Of each night all that it has kept is needed.
    """
    counts = [_counts(kept, said) for kept in _ranked(nights)]
    names = list(RankComparison.__dataclass_fields__)
    return RankComparison(**{name: sum(count.get(name, 0) for count in counts) for name in names})


def _ranked(nights: Sequence[KeptItems]) -> list[KeptItems]:
    return [kept for kept in nights if kept.facts.stage]


def _unconfirmed(kept: KeptItems, said: Heard) -> Floats:
    confirmed = {item for item, one in said.of_night(kept.facts.night).items() if one.confirmed}
    mask = np.array([item not in confirmed for item in kept.items.ids], np.bool_)
    return np.asarray(kept.p_combined[kept.drawn & mask])


def _counts(kept: KeptItems, said: Heard) -> dict[str, int]:
    verdicts = said.of_night(kept.facts.night)
    found = [verdicts.get(item) for item in kept.items.ids]
    seen = np.array([one is not None for one in found], np.bool_)
    yes = np.array([one is not None and one.confirmed for one in found], np.bool_)
    audit = np.array([one is not None and one.audit for one in found], np.bool_)
    most = int((seen & ~audit).sum())
    if not most:
        return {}
    learned, by_score = _first(kept.order, most), _first(kept.order_by_score, most)
    reserve = by_score & ~learned & seen & ~audit
    higher, lower = _audits(kept, yes & audit)
    return {
        "nights": 1,
        "confirmed": int(yes.sum()),
        "learned": int((yes & learned).sum()),
        "by_score": int((yes & by_score).sum()),
        "unseen": int((by_score & ~seen).sum()),
        "reserve": int(reserve.sum()),
        "reserve_confirmed": int((yes & reserve).sum()),
        "audits": int(audit.sum()),
        "audits_confirmed": int((yes & audit).sum()),
        "audits_learned": higher,
        "audits_by_score": lower,
    }


def _first(order: Ints, most: int) -> Bools:
    chosen = np.zeros(len(order), np.bool_)
    chosen[order[:most]] = True
    return chosen


def _audits(kept: KeptItems, confirmed: Bools) -> tuple[int, int]:
    """Count audited anomalies that stand higher by what was learned than by the score, and lower.

    Where they stand is told by the items that were drawn at random.
    """
    score, drawn = kept.items.features[:, 0], kept.drawn
    above_learned = (kept.surprise[drawn][None] > kept.surprise[confirmed][:, None]).sum(axis=1)
    above_score = (score[drawn][None] > score[confirmed][:, None]).sum(axis=1)
    return int((above_learned < above_score).sum()), int((above_learned > above_score).sum())
