"""What was learned by a night: the head and the states of entities, a function of the ledger alone.

Night by night, in order: take the verdicts that have come, fit the head anew, and note what the
kept items of the night are then given. Nothing of a night is ever reckoned with later verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, log_expit

from vae_anomaly.arrays import AnyFloats, Floats, Ints
from vae_anomaly.files import sha256_of
from vae_anomaly.verdicts.entities import ColumnRisks, EntityRates
from vae_anomaly.verdicts.head import ScoreHead
from vae_anomaly.verdicts.ledger import (
    SAMPLED_NIGHTS,
    ItemVerdict,
    KeptNight,
    NightItems,
    Scorer,
    VerdictLedger,
)

LEAST_CONFIRMED: Final = 10
"""Confirmed anomalies, of the nights of one model, from which its head is fitted."""
_USUAL_SHIFT: Final = 2.0  # sd, log-odds, of how far a score alone is from the share of anomalies
_IMPOSSIBLE: Final = 1e-300
_LEAST_SHARE: Final = 0.05  # of what the head learns from an anomaly that its entity explains


@dataclass(frozen=True)
class Judgement:
    """What is said of N items, from verdicts on others.

    Parameters
    ----------
    surprise : ndarray of shape (N,), float64
        ``-ln(1 - P)``: by it items are ranked, for a probability near 1 has no digits left.
    log_odds : ndarray of shape (N,), float64
        Of an anomaly, by the evidence alone, without the entities.
    lifted : ndarray of shape (N,), float64
        What the entities add to the surprise, in nats.
    lifts : dict of str to ndarray of shape (N,), float64
        By column of entities what each adds: the probability that it makes its item an anomaly.
    """

    surprise: Floats
    log_odds: Floats
    lifted: Floats
    lifts: dict[str, Floats]

    @classmethod
    def of(cls, log_odds: Floats, lifts: dict[str, Floats]) -> Judgement:
        """Put together what the evidence says and what the entities add."""
        lifted = np.asarray(
            sum((-np.log1p(-lift) for lift in lifts.values()), np.zeros(len(log_odds)))
        )
        return cls(lifted - log_expit(-log_odds), log_odds, lifted, lifts)

    @property
    def probability(self) -> Floats:
        """Probability of an anomaly, in [0, 1]."""
        return np.asarray(-np.expm1(-self.surprise))


@dataclass
class LearnedState:
    """What the verdicts that came until a night have taught.

    Parameters
    ----------
    columns : tuple of str
        Columns of entities that may count.
    ridge : float
        Weight of the head's prior.
    scorer : (str, tuple of str), optional
        The model, and its features, that the head speaks of. Verdicts and the states of entities
        carry over to another model; a head does not, for its evidence is other evidence.
    heads : mutable mapping of str to ScoreHead
        Heads that were fitted before, by what they follow from; they are not fitted again.
    """

    columns: tuple[str, ...]
    ridge: float = 3.0
    rates: EntityRates = field(default_factory=EntityRates)
    head: ScoreHead | None = None
    scorer: Scorer | None = None
    entities: dict[str, ColumnRisks] = field(default_factory=dict)
    verdicts: dict[tuple[int, str], ItemVerdict] = field(default_factory=dict)
    given: dict[tuple[int, str], tuple[float, float]] = field(default_factory=dict)
    heads: MutableMapping[str, ScoreHead] = field(default_factory=dict, repr=False)
    _by_score: set[int] = field(default_factory=set, repr=False)  # nights that no head has judged
    _past: str = field(default="", repr=False)  # a digest of all that was taken and noted

    def __post_init__(self) -> None:
        for name in self.columns:
            self.entities.setdefault(name, ColumnRisks(self.rates))

    @property
    def n_confirmed(self) -> int:
        """How many anomalies are confirmed."""
        return sum(verdict.confirmed for verdict in self.verdicts.values())

    def judge(self, items: NightItems, offset: float) -> Judgement:
        """Say how likely items are anomalies; ``offset`` as `KeptNight` has it."""
        log_odds = self.log_odds(items.features, offset)
        lifts = {
            name: column.weight * self.rates.lift(column.risk(items.entities[name], items.night))
            if name in items.entities
            else np.zeros(len(items))
            for name, column in self.entities.items()
        }
        return Judgement.of(log_odds, lifts)

    def log_odds(self, features: AnyFloats, offset: float) -> Floats:
        """Return the log-odds of an anomaly by the evidence alone."""
        if self.head is None:
            return np.asarray(features[:, 0] - offset, np.float64)
        return self.head(features)

    def learn(self, ledger: VerdictLedger, night: int) -> None:
        """Take the verdicts that have come for a night.

        Those on one night in an order that has nothing to do with their names: these may tell good
        items from others, or follow the clock, and what comes last would find the states moved.
        """
        came = [v for v in ledger.verdicts if v.arrived == night]
        by_score = self._by_score & {v.night for v in came}
        shifts = {
            n: self._shift(ledger.nights[n], [v for v in came if v.night == n]) for n in by_score
        }
        for verdict in sorted(came, key=lambda v: (v.night or 0, sha256_of(v.item))):
            self._take(verdict, ledger, shifts.get(verdict.night or 0, 0.0))
        for column in self.entities.values() if came else ():
            column.settle()

    def fit_head(self, ledger: VerdictLedger, night: int, scorer: Scorer) -> None:
        """Fit the head to what is known before a night of items that this model has scored.

        Without enough confirmed ones there is none, and the score is trusted.
        """
        nights = {n: k for n, k in ledger.nights.items() if n < night and k.scorer == scorer}
        confirmed = sum(v.confirmed for (n, _), v in self.verdicts.items() if n in nights)
        self.head = self._head(nights, night, scorer) if confirmed >= LEAST_CONFIRMED else None
        self.scorer = scorer

    def note(self, kept: KeptNight) -> None:
        """Note what the kept items of a night are given."""
        judged = self.judge(kept.items, kept.offset)
        for item, log_odds, surprise in zip(
            kept.items.ids, judged.log_odds, judged.surprise, strict=True
        ):
            self.given[kept.items.night, item] = float(log_odds), float(surprise)
        if self.head is None:
            self._by_score.add(kept.items.night)
        self._past = sha256_of(self._past, kept.digest_of(np.flatnonzero(kept.stands).tolist()))

    def _head(self, nights: Mapping[int, KeptNight], night: int, scorer: Scorer) -> ScoreHead:
        """Fit the head, or take the one that was fitted to the same before."""
        asked = f"{night} {scorer} {self.columns} {self.ridge!r} {self.rates}"
        key = sha256_of(self._past, asked)
        head = self.heads.get(key)
        if head is None:
            head = self.heads[key] = self._fitted(nights, night)
        return head

    def _shift(self, kept: KeptNight, verdicts: Sequence[ItemVerdict]) -> float:
        """Return by how much the log-odds of a night are too low, by the verdicts on it.

        A score alone knows nothing of how many anomalies a night has: a share is taken for granted.
        Where more than that is confirmed, a forecast by it would be beaten by any column of a few
        values.
        """
        n_confirmed = sum(v.confirmed for v in verdicts)
        if n_confirmed <= self.rates.bad * kept.n_items:
            return 0.0
        log_odds = np.array([self.given[kept.items.night, v.item][0] for v in verdicts])

        def lacking(shift: float) -> float:
            expected = float(expit(log_odds + shift).sum())
            return n_confirmed - expected - shift / _USUAL_SHIFT**2

        bound = _USUAL_SHIFT**2 * len(verdicts) + 1.0
        return float(brentq(lacking, -bound, bound))

    def _take(self, verdict: ItemVerdict, ledger: VerdictLedger, shift: float) -> None:
        """Move the states of the item's entities by a verdict.

        What they gain is measured against log-odds that are moved by the shift of the night.
        """
        assert verdict.night is not None  # noqa: S101 - the ledger has filled it in
        kept = ledger.nights[verdict.night]
        items, row = kept.items, kept.places[verdict.item]
        self.verdicts[verdict.night, verdict.item] = verdict
        self._past = sha256_of(self._past, f"{verdict.confirmed}", kept.digest_of([row]))
        log_odds = self.given[verdict.night, verdict.item][0]
        unlikely, foretold = (float(expit(-x)) for x in (log_odds, log_odds + shift))
        values = {n: str(items.entities[n][row]) for n in self.entities if n in items.entities}
        values = {name: value for name, value in values.items() if value}
        risks = {n: self.entities[n].risk([v], verdict.night) for n, v in values.items()}
        lifts = {n: float(self.rates.lift(risk)[0]) for n, risk in risks.items()}
        weights = {n: self.entities[n].weight for n in values}
        key = f"{verdict.night}/{verdict.item}"
        for name, value in values.items():
            others = math.prod(1.0 - weights[o] * lifts[o] for o in values if o != name)
            without = 1.0 - foretold * others
            with_ = 1.0 - foretold * others * (1.0 - lifts[name])
            self.entities[name].learn(
                key, value, verdict.night, 1.0 - unlikely * others, (with_, without),
                confirmed=verdict.confirmed,
            )  # fmt: skip

    def _fitted(self, nights: Mapping[int, KeptNight], night: int) -> ScoreHead:
        """Fit the head to reviewed items and to those that stand for the others."""
        features, labels, weights, usual = list[Floats](), list[bool](), list[float](), list[bool]()
        of_night = list[int]()
        for number, kept in nights.items():
            stands_for = kept.n_items / max(1, int(kept.stands.sum()))
            for row, item in enumerate(kept.items.ids):
                verdict = self.verdicts.get((number, item))
                if verdict is None and not (kept.stands[row] and number >= night - SAMPLED_NIGHTS):
                    continue
                features.append(kept.items.features[row])
                labels.append(verdict is not None and verdict.confirmed)
                usual.append(verdict is None)
                of_night.append(number)
                weights.append(self._weight(number, item, verdict, stands_for))
        return ScoreHead.fit(
            np.array(features),
            np.array(labels),
            np.array(weights),
            np.array(usual),
            self.ridge,
            np.array(of_night),
        )

    def _weight(
        self, night: int, item: str, verdict: ItemVerdict | None, stands_for: float
    ) -> float:
        if verdict is None:
            return stands_for
        if not verdict.confirmed:
            return 1.0
        log_odds, surprise = self.given[night, item]
        likely = float(-np.expm1(-surprise))
        if likely < _IMPOSSIBLE:  # no entity explains it
            return 1.0
        return max(float(expit(log_odds)) / likely, _LEAST_SHARE)


def replay(
    ledger: VerdictLedger,
    state: LearnedState,
    last: int | None,
    until: int,
    scorer: Scorer | None = None,
) -> None:
    """Go on night by night from what was learned by ``last`` to what is learned by ``until``.

    The verdicts of ``last`` are learned already, its own items not yet noted. The head is then that
    of ``scorer``, by default of the last model whose night is kept.
    """
    arrivals = {verdict.arrived for verdict in ledger.verdicts}
    for night in sorted({*ledger.nights, *arrivals, until}):
        if night > until or (last is not None and night < last):
            continue
        if night != last:
            state.learn(ledger, night)
        if night in ledger.nights and night < until:
            kept = ledger.nights[night]
            if night != last or state.scorer != kept.scorer:
                state.fit_head(ledger, night, kept.scorer)
            state.note(kept)
    scorer = scorer or (ledger.nights[max(ledger.nights)].scorer if ledger.nights else None)
    if scorer is not None and (last != until or state.scorer != scorer):
        state.fit_head(ledger, until, scorer)


def ranked_by(first: AnyFloats, ties: AnyFloats) -> Ints:
    """Return the places of N items, the largest first; ties by other values, the largest first."""
    return np.asarray(np.lexsort((-ties, -first)), np.int64)


def drawn(n: int, most: int, seed: Sequence[int]) -> list[int]:
    """Return some of n places drawn at random, in order; the same for the same seed."""
    rng = np.random.default_rng(list(seed))
    return sorted(rng.choice(n, min(n, most), replace=False).tolist())
