"""The second stage: rank the items of a night by what reviewers said of earlier ones."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import ArrayLike

from vae_anomaly.arrays import Floats, Ints
from vae_anomaly.errors import ConfigError, DataError
from vae_anomaly.verdicts.entities import EntityRates
from vae_anomaly.verdicts.head import ScoreHead, normal_offset, prior_offset
from vae_anomaly.verdicts.learned import Judgement, LearnedState, drawn, ranked_by, replay
from vae_anomaly.verdicts.ledger import (
    ItemVerdict,
    KeptNight,
    NightItems,
    Scorer,
    VerdictLedger,
)
from vae_anomaly.verdicts.stage import KnownValues, Reference, SecondStage

REFERENCE_NIGHTS: Final = 14
"""Nights whose scores a combined p-value is read from."""
REFERENCE: Final = 20_000
"""Items of a night that are kept for that, drawn at random."""
SAMPLE: Final = 300
"""Unreviewed items of a night that stand for all others."""


@dataclass(frozen=True)
class RankedNight:
    """What the learner says of the N items of a night.

    Parameters
    ----------
    items : NightItems
    judged : Judgement
    p_combined : ndarray of shape (N,), float64
        The share of items of the last nights, without the confirmed ones, that were given as high a
        probability. Measured, not proven: the head changes nightly.
    learned : bool
        Whether anything was learned. If not, the order is that of the raw score, and the combined
        p-value is the detector's.
    offset : float
        As `KeptNight` has it.
    """

    items: NightItems
    judged: Judgement
    p_combined: Floats
    learned: bool
    offset: float

    @property
    def order(self) -> Ints:
        """Places of the items, the most likely anomaly first; ties by the raw score."""
        return ranked_by(self.judged.surprise, self.items.features[:, 0])


@dataclass(frozen=True)
class ReviewList:
    """Places of the items that people are asked about, and why: each item once."""

    likely: Ints  # by probability
    unusual: Ints  # of the others by raw score: a new kind of anomaly must still be found
    audit: Ints  # of the others at random: what is missed is known by these alone

    @property
    def places(self) -> Ints:
        """All of them."""
        return np.concatenate([self.likely, self.unusual, self.audit])


class VerdictLearner:
    """Learn from verdicts on flagged items which others are likely anomalies.

    It stands behind a detector and changes nothing of it. Three parts: a ridge logistic regression
    on the evidence, towards the prior that the raw score is right; a filter of two states for each
    entity (terminal, machine, camera), which switches itself off where it does not help; and the
    two together, as a probability and as a p-value measured on the last nights.

    Parameters
    ----------
    entities : sequence of str
        Columns whose values may turn bad: terminals, machines, suppliers, cameras.
    ridge : float
        Weight of the prior, above 0. Flat: 1 to 10 rank alike on the development sets.
    rates : EntityRates, optional
    random_state : int
        Of the draws: the same for the same seed and night.
    memory : mutable mapping of str to ScoreHead, optional
        Where heads are kept that were fitted, so that a history that is learned again with a night
        more costs one fit. What is learned is the same without it, to the bit.

    Attributes
    ----------
    ledger_ : VerdictLedger
        Nights and verdicts; everything learned is a function of it.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> def night(number):
    ...     scores = rng.exponential(size=(500, 1))
    ...     return NightItems(number, [f"{number}-{i}" for i in range(500)], scores, ("score",))
    >>> learner = VerdictLearner()
    >>> ranked = learner.rank(night(1))
    >>> ranked.learned
    False
    >>> chosen = learner.choose(ranked, capacity=20)
    >>> kept = learner.keep(ranked, chosen.places)
    >>> said = [ItemVerdict(ranked.items.ids[i], True, arrived=2) for i in chosen.likely]
    >>> learner.update(said)
    18
    >>> learner.rank(night(2)).learned
    True
    """

    def __init__(
        self,
        *,
        entities: Sequence[str] = (),
        ridge: float = 3.0,
        rates: EntityRates | None = None,
        random_state: int = 0,
        memory: MutableMapping[str, ScoreHead] | None = None,
    ) -> None:
        if not ridge > 0.0:
            raise ConfigError(f"ridge must be above 0; got {ridge:g}.")
        self.entities = tuple(entities)
        self.ridge = ridge
        self.rates = rates or EntityRates()
        self.random_state = random_state
        self.memory = memory
        self.ledger_ = VerdictLedger()
        self._state: tuple[int, LearnedState] | None = None

    def fit(self, nights: Iterable[KeptNight], verdicts: Iterable[ItemVerdict]) -> Self:
        """Learn from nights and verdicts of the past, as if they came one by one."""
        self.ledger_, self._state = VerdictLedger(), None
        for kept in nights:
            self.ledger_.nights[kept.items.night] = kept
        self.ledger_.verdicts = list(verdicts)
        return self

    def rank(
        self, items: NightItems, p_value: ArrayLike | None = None, *, offset: float | None = None
    ) -> RankedNight:
        """Say how likely the items of a night are anomalies, by verdicts that came before it.

        Parameters
        ----------
        items : NightItems
            All of a night, or a part of it if the offset is given.
        p_value : array-like of shape (N,), optional
            The detector's, for as long as nothing is learned.
        offset : float, optional
            What to take off raw scores to have log-odds as long as there is no head:
            `offset_at`. By default it is that of these items.
        """
        state = self._state_at(items.night, items.scorer)
        if offset is None:
            offset = prior_offset(items.features[:, 0], self.rates.bad)
        judged = state.judge(items, offset)
        learned = bool(state.verdicts)
        p = None if p_value is None else np.asarray(p_value, np.float64)
        if learned or p is None:
            reference = self.reference(items.night, items.scorer, offset)
            if reference is not None:
                p = reference.p_value(judged.surprise)
            elif p is None:
                p = np.ones(len(items))
        return RankedNight(items, judged, p, learned, offset)

    def offset_at(
        self, night: int, model: str = "", normal_scores: ArrayLike | None = None
    ) -> float:
        """Return the offset to rank a night by that is scored in parts.

        It is that of the last night before which the same model scored, or else of held-out
        normals: nothing of the night itself is needed.

        Parameters
        ----------
        night : int
        model : str
            As `NightItems` has it.
        normal_scores : array-like of shape (M,), optional
            Raw scores of normals that were held out, for as long as the model has no night.

        Raises
        ------
        ConfigError
            If the model has no night, and no scores are given.
        """
        before = [n for n, k in self.ledger_.nights.items() if n < night and k.model == model]
        if before:
            reference = self.ledger_.nights[max(before)].reference
            return prior_offset(reference.features[:, 0], self.rates.bad)
        if normal_scores is None:
            raise ConfigError(
                f"No night before {night} was scored by this model; give normal_scores, the raw "
                "scores of its held-out normals."
            )
        return normal_offset(np.asarray(normal_scores, np.float64), self.rates.bad)

    def choose(
        self, ranked: RankedNight, capacity: int, reserve: float = 0.1, audit: int = 15
    ) -> ReviewList:
        """Choose what people look at in the morning.

        Parameters
        ----------
        capacity : int
            Items that can be looked at, without the audit.
        reserve : float
            Share of these that goes to the highest raw scores, in [0, 1].
        audit : int
            Items drawn from all others, each as likely as any.
        """
        if capacity < 0 or audit < 0 or not 0.0 <= reserve <= 1.0:
            raise ConfigError("capacity and audit are counts, reserve a share from 0 to 1.")
        order, score = ranked.order, ranked.items.features[:, 0]
        capacity = min(capacity, len(order))
        likely = order[: capacity - round(capacity * reserve)]
        by_score = np.argsort(-score, kind="stable")
        left = by_score[~np.isin(by_score, likely)]
        unusual, others = left[: capacity - len(likely)], np.sort(left[capacity - len(likely) :])
        seed = (self.random_state, ranked.items.night, 1)
        return ReviewList(likely, unusual, others[drawn(len(others), audit, seed)])

    def keep(self, ranked: RankedNight, places: Sequence[int] | Ints) -> KeptNight:
        """Keep of a night what verdicts may come on, and a sample that stands for all others."""
        items = ranked.items
        wanted = sorted({int(place) for place in places})
        others = np.setdiff1d(np.arange(len(items)), wanted)
        seed = (self.random_state, items.night, 2)
        stands = others[drawn(len(others), SAMPLE, seed)].tolist()
        rows = sorted([*wanted, *stands])
        kept = KeptNight(
            items.take(rows),
            np.isin(rows, stands),
            len(items),
            items.take(drawn(len(items), REFERENCE, (self.random_state, items.night, 3))),
            ranked.offset,
        )
        self.ledger_.keep(kept)
        return kept

    @property
    def state_(self) -> LearnedState:
        """What was learned by the last night that was ranked."""
        if self._state is None:
            return self._nothing()
        return self._state[1]

    def update(self, verdicts: Iterable[ItemVerdict]) -> int:
        """Take verdicts; return how many were new. They count from the next night on."""
        known = len(self.ledger_.verdicts)
        new = self.ledger_.add(verdicts)
        if self._state and any(v.arrived <= self._state[0] for v in self.ledger_.verdicts[known:]):
            self._state = None  # ranked, but not kept: it is ranked again with them
        return new

    def withdraw(self, source: str) -> int:
        """Take back what one import brought, and all that was learned from it."""
        self._state = None
        return self.ledger_.withdraw(source)

    def _state_at(self, night: int, scorer: Scorer) -> LearnedState:
        """Return what is learned by a night, going on from the last one where that holds."""
        if self._state is None or self._state[0] > night:
            self._state = None
        last, state = self._state or (None, self._nothing())
        replay(self.ledger_, state, last, night, scorer)
        self._state = night, state
        return state

    def _nothing(self) -> LearnedState:
        """Return what is learned before anything is."""
        heads = {} if self.memory is None else self.memory
        return LearnedState(self.entities, self.ridge, self.rates, heads=heads)

    def stage(self, night: int, model: str = "") -> SecondStage:
        """Return what is learned for a night as plain numbers, which judge it as `rank` does.

        Parameters
        ----------
        night : int
        model : str
            The detector that will score it, as `NightItems` has it. Of one that has no night yet
            `SecondStage.for_model` makes what carries over of the last one.

        Raises
        ------
        DataError
            If no night was kept.
        """
        nights = self.ledger_.nights
        if not nights:
            raise DataError("No night was kept to learn from. Score one with --learn first.")
        known = any(kept.model == model for kept in nights.values())
        model = model if known else nights[max(nights)].model
        names = nights[max(n for n, kept in nights.items() if kept.model == model)].items.names
        state = self._state_at(night, (model, names))
        offset = self.offset_at(night, model)
        return SecondStage(
            night=night,
            model=model,
            names=names,
            offset=offset,
            rates=self.rates,
            head=state.head,
            entities={name: KnownValues.of(column) for name, column in state.entities.items()},
            reference=self.reference(night, (model, names), offset) if state.verdicts else None,
            verdicts=len(state.verdicts),
            confirmed=state.n_confirmed,
        )

    def reference(self, night: int, scorer: Scorer, offset: float) -> Reference | None:
        """Return what items of the last nights of a model would be given in this one.

        Each counts by the probability that it is no anomaly, a confirmed one not at all. None where
        the model has no night before. Without a head all are judged with the ``offset`` of this
        night, whatever those of their own nights were: else equal items would not be equals.
        """
        state = self._state_at(night, scorer)
        same = [n for n, k in self.ledger_.nights.items() if k.scorer == scorer]
        before = sorted(n for n in same if n < night)[-REFERENCE_NIGHTS:]
        if not before:
            return None
        pairs = [
            self._given(self.ledger_.nights[number], state, night, offset) for number in before
        ]
        given, counts = (np.concatenate(part) for part in zip(*pairs, strict=True))
        return Reference.of(given, counts)

    @staticmethod
    def _given(
        kept: KeptNight, state: LearnedState, night: int, offset: float
    ) -> tuple[Floats, Floats]:
        """Return what reference items would be given tonight, and how many normals each is."""
        items = replace(kept.reference, night=night)
        surprise = state.judge(items, offset).surprise
        normal = np.exp(-surprise)
        for item in kept.items.ids:
            verdict = state.verdicts.get((kept.items.night, item))
            place = kept.reference_places.get(item)
            if verdict is not None and place is not None:
                normal[place] = 0.0 if verdict.confirmed else 1.0
        return surprise, normal * (kept.n_items / len(items))
