"""The state of an entity: whether this terminal, machine or camera is a bad one just now.

A filter with two states, good and bad. A bad one gives an anomaly with probability ``phi`` each
time; it becomes good again, or a good one bad, at a slow rate. Verdicts move the odds of a value by
Bayes' rule, and a wrong verdict is allowed for. A column whose states do not predict verdicts that
were not yet learned from switches itself off: its weight is the sigmoid of what it has gained.

What it gains is measured against a forecast that allows for anomalies which no evidence shows, as
often as verdicts have them, those of the same night included. Else a single such anomaly at any
value that was confirmed before would seem a triumph of the column: the evidence had called it
impossible. And in a first night, of which the evidence expects few anomalies, any column of a few
values, cameras or lines, would seem to explain them all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from scipy.special import expit

from vae_anomaly.arrays import Floats

ON_FROM: Final = 0.5
"""Weight of a column below which it has switched itself off."""

_LEAST, _MOST = 0.001, 0.98  # of a probability that a verdict is compared with
_CERTAIN: Final = 1e-4
_SUREST: Final = 1.0 - 1e-6  # that an entity is a bad one
_TRUST: Final = 1.0  # nats, in a column that somebody has asked for
_HIDDEN: Final = (0.1, 20.0)  # anomalies that nothing shows, and items, before any verdict
_ROUNDS: Final = 30  # of expectation and maximisation


@dataclass(frozen=True)
class EntityRates:
    """How entities turn bad and good again.

    Parameters
    ----------
    bad : float
        Share of bad ones where nothing is known.
    anomalous : float
        How often an item of a bad one is an anomaly for that reason.
    recovery : float
        Rate at which a bad one becomes good, per night.
    wrong : float
        Share of verdicts that are wrong.
    """

    bad: float = 0.005
    anomalous: float = 0.8
    recovery: float = 1 / 28
    wrong: float = 0.02

    def later(self, risk: Floats | float, nights: Floats | float) -> Floats:
        """Return the probabilities of being bad after some nights without a verdict."""
        kept = 1.0 - self.recovery - self.bad * self.recovery / (1.0 - self.bad)
        return np.asarray(self.bad + (np.asarray(risk) - self.bad) * kept ** np.asarray(nights))

    def lift(self, risk: Floats) -> Floats:
        """Return how likely an entity makes its item an anomaly, beyond one of which nobody knows.

        Without taking that off, every item would be called a little more likely than it is.
        """
        beyond = np.maximum(risk - self.bad, 0.0) / (1.0 - self.bad)
        return np.asarray(self.anomalous * beyond)

    def after(self, risk: float, without: float, *, confirmed: bool) -> float:
        """Return the probability of being bad after a verdict on one of its items.

        ``without`` is the probability of an anomaly by everything else that was known of the item.
        """
        good = min(max(without, _LEAST), _MOST)
        bad = 1.0 - (1.0 - self.anomalous) * (1.0 - good)
        if not confirmed:
            good, bad = 1.0 - good, 1.0 - bad
        right = 1.0 - self.wrong
        factor = (right * bad + self.wrong * (1.0 - bad)) / (
            right * good + self.wrong * (1.0 - good)
        )
        odds = risk / (1.0 - risk) * factor
        return min(odds / (1.0 + odds), _SUREST)


@dataclass
class ColumnRisks:
    """What verdicts have said of the values of one column.

    Parameters
    ----------
    verdicts : dict of str to dict of str to (int, float, bool)
        Of each value its reviewed items by id: the night, the probability without this column,
        and whether the anomaly was confirmed.
    gains : dict of str to (float, float, bool)
        Of each reviewed item the probability with and without this column, as it was when the
        verdict came, and the verdict.
    hidden : float
        How often an item is an anomaly though nothing but this column could show it, by the
        verdicts that `settle` has seen.
    """

    rates: EntityRates
    verdicts: dict[str, dict[str, tuple[int, float, bool]]] = field(default_factory=dict)
    gains: dict[str, tuple[float, float, bool]] = field(default_factory=dict)
    hidden: float = _HIDDEN[0] / sum(_HIDDEN)
    _gain: float = 0.0
    _known: dict[str, tuple[int, float]] = field(default_factory=dict, repr=False)
    _told: dict[str, tuple[float, float, bool]] = field(default_factory=dict, repr=False)

    @property
    def gain(self) -> float:
        """How much better verdicts were foretold with this column than without, in nats."""
        return self._gain

    @property
    def weight(self) -> float:
        """How much the column counts, in [0, 1]; 0.73 where nothing is known."""
        return float(expit(_TRUST + self.gain))

    def settle(self) -> None:
        """Learn from all verdicts how often an anomaly is one that nothing showed.

        Then measure what the states have gained on the verdicts since it was called last.
        """
        known = [v for of_value in self.verdicts.values() for v in of_value.values()]
        shown = np.array([without for _, without, _ in known])
        confirmed = np.array([yes for *_, yes in known], bool)
        self.hidden = _hidden_share(shown[confirmed], len(shown))
        for item, (with_, without, yes) in self._told.items():
            self._measure(item, with_, without, confirmed=yes)
        self._told.clear()

    def _measure(self, item: str, with_: float, without: float, *, confirmed: bool) -> None:
        """Note what is gained on an item; the forecasts of one that had a verdict stay."""
        seen = 1.0 - self.hidden
        with_or = _sure(1.0 - (1.0 - with_) * seen), _sure(1.0 - (1.0 - without) * seen)
        held = self.gains.get(item)
        if held is not None:
            self._gain -= _gained(*held)
            with_or = held[0], held[1]
        self.gains[item] = (*with_or, confirmed)
        self._gain += _gained(*with_or, confirmed)

    def learn(
        self,
        item: str,
        value: str,
        night: int,
        without: float,
        forecast: tuple[float, float],
        *,
        confirmed: bool,
    ) -> None:
        """Take a verdict; one on an item that has one replaces it.

        Parameters
        ----------
        without : float
            Probability by everything but this column, by which the state moves.
        forecast : (float, float)
            Probabilities with and without this column, by which its gain is measured.
        """
        first = self._told.get(item, (*forecast, confirmed))
        self._told[item] = (first[0], first[1], confirmed)
        of_value = self.verdicts.setdefault(value, {})
        before = of_value.get(item, (night, without, confirmed))
        of_value[item] = (before[0], before[1], confirmed)
        self._known.pop(value, None)

    def risk(self, values: Sequence[str], night: int) -> Floats:
        """Return how likely each value is a bad one in a night, shape (N,)."""
        known = [value for value in set(values) if value in self.verdicts]
        last, risk = np.array([self.after_last(value) for value in known]).reshape(-1, 2).T
        later = self.rates.later(risk, np.maximum(night - last, 0.0))
        risks = dict(zip(known, later.tolist(), strict=True))
        return np.array([risks.get(value, self.rates.bad) for value in values], np.float64)

    def after_last(self, value: str) -> tuple[int, float]:
        """Return the night of a value's last reviewed item, and its risk right after it."""
        if value not in self._known:
            ordered = sorted(self.verdicts[value].items(), key=lambda pair: (pair[1][0], pair[0]))
            last, risk = ordered[0][1][0], self.rates.bad
            for _, (night, without, confirmed) in ordered:
                risk = float(self.rates.later(risk, night - last))
                risk = self.rates.after(risk, without, confirmed=confirmed)
                last = night
            self._known[value] = last, risk
        return self._known[value]


def _hidden_share(shown: Floats, n_items: int) -> float:
    """Return the share of n items that are anomalies whatever was shown of them.

    ``shown`` are the probabilities, without that, of those that are anomalies. The most likely
    share, by expectation and maximisation, with a weak prior.
    """
    anomalies, items = _HIDDEN
    share = anomalies / (anomalies + items)
    for _ in range(_ROUNDS):
        due = share / (1.0 - (1.0 - shown) * (1.0 - share))  # that this one is one of them
        share = float(anomalies + due.sum()) / (anomalies + items + n_items)
    return share


def _gained(on: float, off: float, confirmed: bool) -> float:
    return math.log(on / off) if confirmed else math.log((1.0 - on) / (1.0 - off))


def _sure(probability: float) -> float:
    return min(max(probability, _CERTAIN), 1.0 - _CERTAIN)
