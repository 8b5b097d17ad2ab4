"""The second stage: what verdicts have taught by a night, as plain numbers that judge items.

A scoring job needs no more than this: neither the verdicts nor the nights before.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

import numpy as np

from vae_anomaly.arrays import AnyFloats, Floats, Ints
from vae_anomaly.files import sha256_of
from vae_anomaly.state import Json
from vae_anomaly.verdicts.entities import ON_FROM, ColumnRisks, EntityRates
from vae_anomaly.verdicts.head import ScoreHead, normal_offset
from vae_anomaly.verdicts.learned import Judgement

_TELLING: Final = 0.02  # probability that an entity adds, from which it is told
_TELLING_NATS: Final = 0.5
_LIKELY: Final = 0.05  # probability from which features are told
_CALLED: Final = {"raw_score": "the score", "whole_image": "the whole image"}
_MOST_TOLD: Final = 2  # features


def entity_code(column: str, value: str) -> str:
    """Return what stands for a value of a column of entities: 16 hexadecimal digits.

    Examples
    --------
    >>> entity_code("terminal", "T-17")
    '56c6241b71da4f07'
    """
    return sha256_of(f"{column}\0{value}")[:16]


@dataclass(frozen=True)
class Reference:
    """What normal items of the last nights are given, to compare others with.

    Parameters
    ----------
    given : ndarray of shape (M,), float64
        Surprise, rising.
    above : ndarray of shape (M + 1,), float64
        How many normals are given at least as much; none above the last.
    """

    given: Floats
    above: Floats

    @classmethod
    def of(cls, given: Floats, counts: Floats) -> Reference:
        """Take what each item is given, and how many normals it stands for."""
        order = np.argsort(given, kind="stable")
        above = np.append(np.cumsum(counts[order][::-1])[::-1], 0.0)
        return cls(given[order], above)

    def p_value(self, surprise: AnyFloats) -> Floats:
        """Return the share of normals that are given at least as much, (N,), in (0, 1]."""
        at_least = self.above[np.searchsorted(self.given, surprise, side="left")]
        return np.asarray((1.0 + at_least) / (1.0 + self.above[0]))


@dataclass(frozen=True)
class KnownValues:
    """What verdicts have said of the values of one column of entities, K of them.

    Parameters
    ----------
    weight, gain : float
        How much the column counts, in [0, 1], and what it has gained in nats.
    codes : sequence of K str
        As `entity_code` gives them.
    last : ndarray of shape (K,), int64
        Night of the last reviewed item.
    risk : ndarray of shape (K,), float64
        Probability of being a bad one, right after it.
    reviewed, confirmed : ndarray of shape (K,), int64
        How many of its items people have looked at, and confirmed.
    """

    weight: float
    gain: float
    codes: Sequence[str]
    last: Ints
    risk: Floats
    reviewed: Ints
    confirmed: Ints
    places: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        places = {code: place for place, code in enumerate(self.codes)}
        object.__setattr__(self, "places", places)

    @classmethod
    def of(cls, column: ColumnRisks) -> KnownValues:
        """Take what was learned of a column."""
        codes = sorted(column.verdicts)
        pairs = [column.after_last(code) for code in codes]
        said = [[yes for _, _, yes in column.verdicts[code].values()] for code in codes]
        return cls(
            column.weight,
            column.gain,
            codes,
            np.array([last for last, _ in pairs], np.int64),
            np.array([risk for _, risk in pairs], np.float64),
            np.array([len(own) for own in said], np.int64),
            np.array([sum(own) for own in said], np.int64),
        )

    def lift(self, rates: EntityRates, codes: Sequence[str], night: int) -> Floats:
        """Return what the values of N items add in a night, as `LearnedState.judge` has it."""
        risk = np.full(len(codes), rates.bad)
        known = [(i, self.places[code]) for i, code in enumerate(codes) if code in self.places]
        if known:
            rows, places = (np.array(part) for part in zip(*known, strict=True))
            nights = np.maximum(night - self.last[places], 0)
            risk[rows] = rates.later(self.risk[places], nights)
        return self.weight * rates.lift(risk)


@dataclass(frozen=True)
class SecondStage:
    """What verdicts have taught by a night.

    Parameters
    ----------
    night : int
        For which it was learned; see `NightItems`.
    model : str
        The detector whose scores it understands, as `NightItems` has it.
    names : tuple of F str
        The features, as `NightItems` has them.
    offset : float
        What to take off raw scores to have log-odds, without a head.
    rates : EntityRates
    head : ScoreHead or None
        None before enough is confirmed.
    entities : dict of str to KnownValues
        By column.
    reference : Reference or None
        None where no night was kept; the combined p-value is then the detector's.
    verdicts, confirmed : int
        How many it has learned from.
    threshold : dict or None
        What flags by it, as ``Threshold.to_dict`` gives it; None where the detector's threshold
        does.
    """

    night: int
    model: str
    names: tuple[str, ...]
    offset: float
    rates: EntityRates
    head: ScoreHead | None
    entities: dict[str, KnownValues]
    reference: Reference | None
    verdicts: int
    confirmed: int
    threshold: Json | None = None

    def for_model(
        self, model: str, names: tuple[str, ...], normal_scores: AnyFloats
    ) -> SecondStage:
        """Return what carries over to a detector: of one trained anew, the states of entities.

        ``normal_scores`` are raw scores of normals that were held out from its training.
        """
        if (model, names) == (self.model, self.names):
            return self
        offset = normal_offset(normal_scores, self.rates.bad)
        return replace(
            self, model=model, names=names, offset=offset, head=None, reference=None,
            threshold=None,
        )  # fmt: skip

    def judge(self, features: Floats, codes: Mapping[str, Sequence[str]], night: int) -> Judgement:
        """Say how likely N items are anomalies.

        Parameters
        ----------
        features : ndarray of shape (N, F), float64
        codes : mapping of str to sequence of N str
            By column the `entity_code` of each item's value; empty where it has none.
        night : int
        """
        log_odds = features[:, 0] - self.offset if self.head is None else self.head(features)
        lifts = {
            name: known.lift(self.rates, codes[name], night)
            for name, known in self.entities.items()
            if name in codes
        }
        return Judgement.of(np.asarray(log_odds, np.float64), lifts)

    def probability(self, judged: Judgement) -> Floats | None:
        """Return the probabilities of N items; None before verdicts have taught of the evidence.

        Until then scores are taken at their word: good for an order, and for no more.
        """
        return None if self.head is None else judged.probability

    def p_combined(self, judged: Judgement, p_value: Floats) -> Floats:
        """Return the combined p-values of N items: measured on the last nights, not proven."""
        return p_value if self.reference is None else self.reference.p_value(judged.surprise)

    def why(
        self,
        features: Floats,
        judged: Judgement,
        codes: Mapping[str, Sequence[str]],
        named: Callable[[str, int], str],
    ) -> list[str | None]:
        """Say of N items what verdicts add to their scores; None where that is nothing.

        A column that has switched itself off is no reason.

        Parameters
        ----------
        features : ndarray of shape (N, F), float64
        judged : Judgement
        codes : mapping of str to sequence of N str
            As `judge` has them.
        named : callable
            Returns of a column and the place of an item what its entity is called by people.
        """
        told: defaultdict[int, list[str]] = defaultdict(list)
        for name, lift in judged.lifts.items():
            known = self.entities[name]
            if known.weight < ON_FROM:
                continue
            for place in np.flatnonzero(lift >= _TELLING).tolist():
                told[place].append(_of_entity(known, codes[name][place], named(name, place)))
        if self.head is not None:
            likely = np.flatnonzero(judged.probability >= _LIKELY)
            looks = self._like_confirmed(self.head, features[likely])
            for place, names in zip(likely.tolist(), looks, strict=True):
                if names:
                    told[place].append(f"confirmed anomalies look like this in {names}")
        return ["; ".join(told[i]) if i in told else None for i in range(len(features))]

    def _like_confirmed(self, head: ScoreHead, features: Floats) -> list[str]:
        """Name of each item the features that verdicts have made count more, the first two."""
        gained = head.beyond_prior(features)
        order = np.argsort(-gained, axis=1, kind="stable")[:, :_MOST_TOLD]
        return [
            " and ".join(_in_words(self.names[k]) for k in row if gains[k] >= _TELLING_NATS)
            for row, gains in zip(order.tolist(), gained, strict=True)
        ]


def _in_words(feature: str) -> str:
    """Call evidence what people call it; a column of a table has its own name."""
    if part := re.fullmatch(r"heat_top_([\d.]+)pct", feature):
        return f"the hottest {part[1]} % of the image"
    if feature.endswith("_surprise"):
        return f"the model's term {feature.removesuffix('_surprise').replace('_', ' ')}"
    return _CALLED.get(feature, feature)


def _of_entity(known: KnownValues, code: str, name: str) -> str:
    place = known.places[code]
    day = date.fromordinal(int(known.last[place])).isoformat()
    return (
        f"{name}: {known.confirmed[place]} of {known.reviewed[place]} reviewed were confirmed, the "
        f"last look on {day}"
    )
