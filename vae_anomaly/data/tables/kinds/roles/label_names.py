"""Find columns that hold the answer, by the words of their name and of their cells.

A name alone is no proof: `fault` may say whose, `class` which ticket, `target_temperature` is a
set point. So the cells have their say: the answer is yes or no, a kind beside "normal", or a small
code that is mostly 0. Where the name speaks and the cells do not, the column stays and is named.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, Self

import pandas as pd

from vae_anomaly.data.tables import cells
from vae_anomaly.data.tables.kinds.roles import label_words as w
from vae_anomaly.data.tables.kinds.roles.name_words import words, words_of

_Verdict = Literal["answer", "doubtful"]
_MAX_ANSWERS: Final = 100  # different cells of a column that holds kinds of anomalies
_MAX_CODES: Final = 20
_MOSTLY: Final = 0.5

_TRUTHS: Final = cells.TRUE_WORDS | cells.FALSE_WORDS | words("-1 ja nein oui non si sí sim não")
_UNTRUE: Final = cells.FALSE_WORDS | words("-1 nein non não")


@dataclass(frozen=True)
class AnswerCells:
    """The different cells of a column that could be the answer, in small letters, with counts."""

    counts: Mapping[str, int]
    missing_share: float = 0.0

    @classmethod
    def of(cls, series: pd.Series) -> Self | None:
        """Count the different cells; None where there are none, or too many for an answer."""
        if not 0 < series.nunique() <= _MAX_ANSWERS:
            return None
        counts: Counter[str] = Counter()
        for text, count in cells.text_counts(series).items():
            counts[text.lower()] += count
        return cls(counts, float(series.isna().mean())) if counts else None

    @property
    def are_truths(self) -> bool:
        """Whether they are yes and no in any writing, or one of them only."""
        return len(self.counts) <= 2 and set(self.counts) <= _TRUTHS

    @property
    def are_two_numbers(self) -> bool:
        """Whether they are two numbers, such as 1 and 2."""
        return len(self.counts) == 2 and all(map(cells.is_number_text, self.counts))

    @property
    def are_codes(self) -> bool:
        """Whether they are few whole numbers, mostly 0."""
        zeros = self.counts.get("0", 0) / sum(self.counts.values())
        return (
            zeros > _MOSTLY
            and len(self.counts) <= _MAX_CODES
            and all(map(str.isdecimal, self.counts))
        )

    @property
    def are_kinds(self) -> bool:
        """Whether one of them is a word for normal or for an anomaly."""
        return any(_is_normal(text) or _has(text, w.BAD) for text in self.counts)

    @property
    def are_words(self) -> bool:
        """Whether none of them is a number."""
        return not any(map(cells.is_number_text, self.counts)) and not self.are_truths

    @property
    def name_an_event(self) -> bool:
        """Whether one of a few words is that of an anomaly and nothing else."""
        return len(self.counts) <= _MAX_CODES and any(text in w.EVENTS for text in self.counts)

    @property
    def are_opposed(self) -> bool:
        """Whether they are words of an answer only: benign and others, normal and an attack."""
        normal = {text for text in self.counts if _is_normal(text)}
        others = self.counts.keys() - normal
        return bool(normal and others) and (
            any(_has(text, w.BENIGN) or _is_denied(text) for text in normal)
            or any(_has(text, w.TELLTALE) for text in others)
        )

    @property
    def anomalous(self) -> frozenset[str]:
        """Those that tell of an anomaly; without any word for normal, all but the commonest."""
        normal = {text for text in self.counts if text in _UNTRUE or _is_normal(text)}
        if not normal and not self.are_truths:
            normal = {max(self.counts, key=lambda text: self.counts[text])}
        return frozenset(self.counts.keys() - normal)


def verdict_on(name: str, answers: AnswerCells | None) -> _Verdict | None:
    """Tell whether a column is the answer, may be it, or neither.

    ``answers`` are the different cells of the column; None where they are too many.
    """
    said = _words_said(name)
    if said & w.OTHERWISE and not said & w.FUTURE:
        return None
    if said & (w.EVENTS | w.HARM) or (said & w.LATER and said & w.FUTURE):
        return _of_event(said, answers)
    if said & w.ANSWERS and said <= w.ANSWERS | w.PARTICLES:
        return _of_label(said, answers)
    return None if answers is None else _of_few(said, answers)


def says_normal(name: str) -> bool:
    """Tell whether a column is called by what is normal, so that "yes" is no anomaly."""
    said = _words_said(name)
    return bool(said & w.NORMAL_ONES) and not said & w.BAD


def _words_said(name: str) -> frozenset[str]:
    """Return the words of a name without its numbers: ``label2`` is a label."""
    found = words_of(name, w.ALL_OF_LABELS)
    return frozenset(word for word in found if not word.isdecimal())


def _of_event(said: frozenset[str], answers: AnswerCells | None) -> _Verdict:
    """Judge a column that is called like an anomaly; a plural may be a count."""
    if answers is None:
        return "doubtful"
    if answers.are_truths or answers.are_two_numbers or answers.are_kinds:
        return "answer"
    if answers.are_words:
        is_answer = said & w.KINDS_OF_EVENTS or answers.missing_share > _MOSTLY
        return "answer" if is_answer else "doubtful"
    return "answer" if answers.are_codes and not said & w.PLURALS else "doubtful"


def _of_label(said: frozenset[str], answers: AnswerCells | None) -> _Verdict | None:
    """Judge a column whose whole name says that it is a label; a y may be a coordinate."""
    if answers is not None and (answers.are_truths or answers.are_kinds):
        return "answer"
    if "y" in said:
        return None
    is_answer = answers is not None and (answers.are_two_numbers or answers.are_codes)
    return "answer" if is_answer else "doubtful"


def _of_few(said: frozenset[str], answers: AnswerCells) -> _Verdict | None:
    """Judge a column of few values whose name is no proof: a fault, a class, anything."""
    if answers.are_opposed:
        return "answer"
    if said & w.SLIPS and answers.are_truths:
        return "answer" if said <= w.SLIPS | w.PARTICLES | w.THINGS else "doubtful"
    if said & w.OUTCOMES and said <= w.OUTCOMES | w.PARTICLES:
        return _of_outcome(answers)
    if said & w.HINTS and said <= w.HINTS | w.PARTICLES | w.THINGS and not answers.are_words:
        return "doubtful"
    return "doubtful" if answers.name_an_event else None


def _of_outcome(answers: AnswerCells) -> _Verdict | None:
    """Judge a column called class or result, which may be a ticket's or an exam's."""
    if answers.are_truths or answers.are_kinds:
        return "answer"
    return "doubtful" if len(answers.counts) == 2 else None


def _is_normal(text: str) -> bool:
    return _is_denied(text) or (_has(text, w.NORMAL_ONES) and not _has(text, w.NOT | w.BAD))


def _is_denied(text: str) -> bool:
    """Tell whether a text denies an anomaly, as "no failure" does."""
    return _has(text, w.NOT) and _has(text, w.EVENTS | w.HARM | w.SLIPS)


def _has(text: str, meant: frozenset[str]) -> bool:
    """Tell whether a text has one of some words, or is one written as "n.i.O."."""
    return not meant.isdisjoint(words_of(text)) or re.sub(r"[. /]", "", text) in meant
