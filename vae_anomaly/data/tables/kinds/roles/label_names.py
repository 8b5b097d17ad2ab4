"""Find columns that hold the answer, by the words of their name and of their cells.

A name alone is no proof: `fault` may say whose, `class` which ticket, `target_temperature` is a
set point. So the cells have their say: the answer is yes or no, a kind beside "normal", or a small
code that is mostly 0. Where the name speaks and the cells do not, the column stays and is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, Self

import pandas as pd

from vae_anomaly.data.tables import cells
from vae_anomaly.data.tables.kinds.roles import answer_names as w
from vae_anomaly.data.tables.label_words import (
    BENIGN,
    EVENTS,
    HARM,
    PLAIN_ANOMALY,
    PLAIN_NORMAL,
    SLIPS,
    TELLTALE,
    UNDECIDED,
    denies,
    has,
    is_plainly_normal,
    says_anomaly,
    tidy,
)
from vae_anomaly.data.tables.name_words import words, words_of

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
        return any(is_plainly_normal(text) or has(text, PLAIN_ANOMALY) for text in self.counts)

    @property
    def are_words(self) -> bool:
        """Whether none of them is a number."""
        return not any(map(cells.is_number_text, self.counts)) and not self.are_truths

    @property
    def name_an_event(self) -> bool:
        """Whether one of a few words is that of an anomaly and nothing else."""
        return len(self.counts) <= _MAX_CODES and any(text in EVENTS for text in self.counts)

    @property
    def are_opposed(self) -> bool:
        """Whether they are words of an answer only: benign and others, normal and an attack."""
        normal = {text for text in self.counts if is_plainly_normal(text)}
        others = self.counts.keys() - normal
        return bool(normal and others) and (
            any(has(text, BENIGN) or denies(text) for text in normal)
            or any(has(text, TELLTALE) for text in others)
        )

    @property
    def take_sides(self) -> bool:
        """Whether they are words for both sides of an answer and no others, as good and bad."""
        said = {tidy(text) for text in self.counts} - UNDECIDED
        return self.are_words and {says_anomaly(word) for word in said} == {True, False}

    @property
    def anomalous(self) -> frozenset[str]:
        """Those that tell of an anomaly; without any word for normal, all but the commonest.

        Where most cells are empty, these are the normal ones.
        """
        normal = {text for text in self.counts if text in _UNTRUE or is_plainly_normal(text)}
        if not normal and not self.are_truths and self.missing_share <= _MOSTLY:
            normal = {max(self.counts, key=lambda text: self.counts[text])}
        return frozenset(self.counts.keys() - normal)


def verdict_on(name: str, answers: AnswerCells | None) -> _Verdict | None:
    """Tell whether a column is the answer, may be it, or neither.

    ``answers`` are the different cells of the column; None where they are too many.
    """
    said = _words_said(name)
    if said & w.OTHERWISE and not said & w.FUTURE:
        return _of_rating(said, answers)
    if said & (EVENTS | HARM) or (said & w.LATER and said & w.FUTURE):
        return _of_event(said, answers)
    if said & w.ANSWERS and said <= w.ANSWERS | w.PARTICLES:
        return _of_label(said, answers)
    return None if answers is None else _of_few(said, answers)


def says_normal(name: str) -> bool:
    """Tell whether a column is called by what is normal, so that "yes" is no anomaly."""
    said = _words_said(name)
    return bool(said & PLAIN_NORMAL) and not said & PLAIN_ANOMALY


def _words_said(name: str) -> frozenset[str]:
    """Return the words of a name without its numbers: ``label2`` is a label."""
    found = words_of(name, w.ALL_OF_NAMES)
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
    if said & SLIPS and answers.are_truths:
        return "answer" if said <= SLIPS | w.PARTICLES | w.THINGS else "doubtful"
    if said & w.OUTCOMES and said <= w.OUTCOMES | w.PARTICLES:
        return _of_outcome(answers)
    if said & w.HINTS and said <= w.HINTS | w.PARTICLES | w.THINGS and not answers.are_words:
        return "doubtful"
    return "doubtful" if answers.name_an_event else _of_rating(said, answers)


def _of_rating(said: frozenset[str], answers: AnswerCells | None) -> _Verdict | None:
    """Judge a column called risk or status, which may say good and bad of each row."""
    is_called_so = said <= w.RATINGS | w.PARTICLES | w.THINGS
    return "doubtful" if is_called_so and answers is not None and answers.take_sides else None


def _of_outcome(answers: AnswerCells) -> _Verdict | None:
    """Judge a column called class or result, which may be a ticket's or an exam's."""
    if answers.are_truths or answers.are_kinds:
        return "answer"
    return "doubtful" if len(answers.counts) == 2 else None
