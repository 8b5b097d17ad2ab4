"""Champion against challenger on the same items: whether the new one may take the old one's place.

**Not worse** is a matter of margins, chosen before: by how much a figure may fall at most. A figure
holds when even the bad end of the 95 % interval of its difference lies within the margin (a test of
non-inferiority at 2.5 %), so few items cannot pass by luck. Three figures have to hold:

===========  ===============================================  ====================================
figure       what it is                                       may be worse by
===========  ===============================================  ====================================
``fpr``      share of normals that each flags at its own      the champion's stated rate, at least
             threshold                                        0.01
``recall``   share of anomalies that each flags there         0.05
``auroc``    the ranking, whatever the thresholds             0.02
===========  ===============================================  ====================================

Average precision is shown, and does not decide: it depends on how rare anomalies are among these
items. A figure that the items cannot show does not hold.

References
----------
Wellek, Testing Statistical Hypotheses of Equivalence and Noninferiority, 2010.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from vae_anomaly.arrays import Bools, Floats, Ints, Objects
from vae_anomaly.errors import ConfigError, did_you_mean
from vae_anomaly.metrics import Interval, RankingCurve, bootstrap_interval, is_flagged
from vae_anomaly.metrics.intervals import grouped_interval, proportion_interval
from vae_anomaly.metrics.paired import auroc_difference, bootstrap_difference, rate_difference
from vae_anomaly.names import typed
from vae_anomaly.words import number_of

NOT_WORSE: Final = "not worse"
WORSE: Final = "worse"
NOT_SHOWN: Final = "not shown to be not worse"
MARGINS: Final[Mapping[str, float]] = {"fpr": 0.01, "recall": 0.05, "auroc": 0.02}
"""By how much a figure may be worse; of ``fpr`` at least so much."""

_UNKNOWN: Final = Interval(math.nan, -1.0, 1.0)


@dataclass(frozen=True)
class ComparedModel:
    """What one of the two says of N items: its name, scores, threshold and stated rate."""

    label: str
    scores: Floats
    threshold: float
    target_fpr: float


@dataclass(frozen=True)
class ComparedFigure:
    """A figure of both, and by how much the challenger's is higher.

    Parameters
    ----------
    margin : float, optional
        By how much it may be worse; None where it does not decide.
    """

    name: str
    champion: Interval
    challenger: Interval
    difference: Interval
    margin: float | None
    higher_is_better: bool

    @property
    def worst(self) -> float:
        """By how much the challenger may be worse, at the bad end of the interval."""
        return -self.difference.low if self.higher_is_better else self.difference.high

    @property
    def best(self) -> float:
        """By how much it is worse at least; negative where it may be better."""
        return -self.difference.high if self.higher_is_better else self.difference.low

    @property
    def is_measured(self) -> bool:
        """Whether the items could show it."""
        return math.isfinite(self.difference.estimate)

    @property
    def verdict(self) -> str:
        """`NOT_WORSE`, `WORSE` or `NOT_SHOWN`; empty where it does not decide."""
        if self.margin is None:
            return ""
        if self.is_measured and self.worst <= self.margin:
            return NOT_WORSE
        return WORSE if self.is_measured and self.best > 0.0 else NOT_SHOWN

    def factor_needed(self) -> float | None:
        """How many times as many items would show it, if the difference stays; None where none."""
        estimate = -self.difference.estimate if self.higher_is_better else self.difference.estimate
        if self.margin is None or not self.is_measured or estimate >= self.margin:
            return None
        return ((self.worst - estimate) / (self.margin - estimate)) ** 2


@dataclass(frozen=True)
class Challenge:
    """How a challenger does beside the champion.

    Parameters
    ----------
    only_champion, only_challenger : (int, int)
        Normals and anomalies that one of them flags and the other does not.
    notes : tuple of str
        What the owner should know of the items.
    """

    champion: str
    challenger: str
    source: str
    n_normals: int
    n_anomalies: int
    figures: tuple[ComparedFigure, ...]
    only_champion: tuple[int, int]
    only_challenger: tuple[int, int]
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """`WORSE` where a figure that decides is, `NOT_WORSE` where all hold, else `NOT_SHOWN`."""
        found = {one.verdict for one in self.figures} - {""}
        return WORSE if WORSE in found else NOT_SHOWN if NOT_SHOWN in found else NOT_WORSE

    @property
    def passed(self) -> bool:
        """Whether the challenger may take the place of the champion."""
        return self.verdict == NOT_WORSE

    def in_words(self) -> str:
        """Say the verdict, and what it rests on, in one sentence."""
        where = (
            f"on {number_of(self.n_normals, 'normal')} and "
            f"{number_of(self.n_anomalies, 'anomaly', 'anomalies')} of {self.source}"
        )
        against = [one.name for one in self.figures if one.verdict in (WORSE, NOT_SHOWN)]
        why = f" ({', '.join(_NAMES[name] for name in against)})" if against else ""
        return f"{self.challenger} is {self.verdict} than {self.champion}{why} {where}"

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values, for the record; NaN becomes None."""
        return {"verdict": self.verdict, "words": self.in_words(), **_plain(asdict(self))}

    def missing(self) -> tuple[str, ...]:
        """Say for each figure that is not shown what would show it."""
        return tuple(_remedy(one, self) for one in self.figures if one.verdict == NOT_SHOWN)


_NAMES: Final = {
    "fpr": "false alarms",
    "recall": "anomalies found",
    "auroc": "AUROC",
    "average_precision": "average precision",
}


def figure_name(figure: str) -> str:
    """Return what a figure is called for people."""
    return _NAMES[figure]


def challenged_by(
    champion: ComparedModel,
    challenger: ComparedModel,
    labels: Bools,
    groups: Objects | None = None,
    *,
    source: str = "",
    margins: Mapping[str, float] | None = None,
    notes: tuple[str, ...] = (),
) -> Challenge:
    """Compare two models on N items that neither was trained on.

    Parameters
    ----------
    labels : ndarray of shape (N,), bool
        True = anomaly.
    groups : ndarray of shape (N,), optional
        Items of one part, customer or day are drawn together.
    margins : mapping of str to float, optional
        As `read_margins`; the others are those of the table above.
    """
    allowed = {**MARGINS, "fpr": max(MARGINS["fpr"], champion.target_fpr), **(margins or {})}
    judges = (champion, challenger)
    codes = None if groups is None else _codes(groups)
    flags = [is_flagged(one.scores, one.threshold) for one in judges]
    figures = [
        _rate("fpr", flags, ~labels, codes, allowed["fpr"]),
        _rate("recall", flags, labels, codes, allowed["recall"]),
        _ranking("auroc", judges, labels, codes, allowed["auroc"]),
        _ranking("average_precision", judges, labels, codes, None),
    ]
    return Challenge(
        champion.label,
        challenger.label,
        source,
        int(np.sum(~labels)),
        int(labels.sum()),
        tuple(figures),
        _counted(flags[0] & ~flags[1], labels),
        _counted(flags[1] & ~flags[0], labels),
        notes,
    )


def _codes(groups: Objects) -> Ints:
    """Return a number for each item's group."""
    return np.unique(groups.astype(str), return_inverse=True)[1].reshape(-1).astype(np.int64)


def _rate(
    name: str, flags: list[Bools], of: Bools, codes: Ints | None, margin: float
) -> ComparedFigure:
    some = [one[of] for one in flags]
    units = None if codes is None else codes[of]
    shares = [
        proportion_interval(float(one.sum()), float(one.size))
        if units is None
        else grouped_interval(one.astype(float), np.ones(one.size), units)
        for one in some
    ]
    change = rate_difference(some[0], some[1], units)
    return ComparedFigure(
        name, shares[0], shares[1], change, margin, higher_is_better=name == "recall"
    )


def _ranking(
    name: str,
    judges: tuple[ComparedModel, ComparedModel],
    labels: Bools,
    codes: Ints | None,
    margin: float | None,
) -> ComparedFigure:
    metric = RankingCurve.auroc if name == "auroc" else RankingCurve.average_precision
    if labels.all() or not labels.any():
        return ComparedFigure(name, _UNKNOWN, _UNKNOWN, _UNKNOWN, margin, higher_is_better=True)
    own = [bootstrap_interval(metric, labels, one.scores, groups=codes) for one in judges]
    scores = judges[0].scores, judges[1].scores
    change = (
        auroc_difference(labels, *scores, codes)
        if name == "auroc"
        else bootstrap_difference(metric, labels, *scores, codes)
    )
    return ComparedFigure(name, own[0], own[1], change, margin, higher_is_better=True)


def _counted(flags: Bools, labels: Bools) -> tuple[int, int]:
    return int(np.sum(flags & ~labels)), int(np.sum(flags & labels))


def _remedy(figure: ComparedFigure, found: Challenge) -> str:
    n, what = (
        (found.n_normals, "normals") if figure.name == "fpr" else (found.n_anomalies, "anomalies")
    )
    name = _NAMES[figure.name]
    if not figure.is_measured:
        return f"{name}: not measured, as there are no labelled or judged {what}"
    factor = figure.factor_needed()
    if factor is None:
        return f"{name}: worse by more than the margin, though that may be chance"
    return f"{name}: about {math.ceil(factor * n / 10) * 10:,} {what} would tell, there are {n:,}"


def read_margins(given: Iterable[str]) -> dict[str, float]:
    """Read margins such as ``auroc=0.01``.

    Raises
    ------
    ConfigError
        If one has another form, names no figure that decides, or is not within 0 and 1.

    Examples
    --------
    >>> read_margins(["recall=0.1"])
    {'recall': 0.1}
    """
    return dict(_margin(text) for text in given)


def _margin(text: str) -> tuple[str, float]:
    name, _, number = (part.strip() for part in text.partition("="))
    if name not in MARGINS:
        raise ConfigError(
            f"A margin reads FIGURE=NUMBER with one of {', '.join(MARGINS)}"
            f"{did_you_mean(name, MARGINS)}; got {text!r}. Write for example --margin recall=0.05."
        )
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= 1.0:
        raise ConfigError(
            f"A margin is by how much a figure may be worse, between 0 and 1; got {text!r}. Write "
            f"for example --margin {typed(name)}={MARGINS[name]:g}."
        )
    return name, value


def _plain(value: object) -> dict[str, object]:
    plain = _finite(value)
    assert isinstance(plain, dict)  # noqa: S101 - a dataclass has become one
    return plain


def _finite(value: object) -> object:
    """Return JSON values of what ``asdict`` gave."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value
