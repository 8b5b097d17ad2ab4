"""Propose what a person would leave out: the answer, who it was, where they live, which row it is.

A role follows from the cells, or from the words of the name where the cells bear them out:

1. *label*: see `label_names` and, where labels are known, `label_copies`. Left out as ignored. A
   column that is only called like a label keeps its kind.
2. *person*: card, account, phone and official numbers, e-mail addresses, names, birth dates, keys
   of customers.
3. *place*: postal codes, streets and houses. City, state, country and coordinates are features.
4. *identifier*: links, hashes, network addresses, counters of rows, sentences that hardly repeat.

A column of few different values stays: it tells groups. What a person has declared stands. Texts
that a key of persons tells go with it: see `attributes`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Bools
from vae_anomaly.data.tables import cells
from vae_anomaly.data.tables.kinds.column import FEATURE_KINDS, Column, ColumnKind, Role
from vae_anomaly.data.tables.kinds.roles import cell_looks as looks
from vae_anomaly.data.tables.kinds.roles import label_copies
from vae_anomaly.data.tables.kinds.roles import person_names as called
from vae_anomaly.data.tables.kinds.roles.cell_looks import CellsLook
from vae_anomaly.data.tables.kinds.roles.label_names import AnswerCells, says_normal, verdict_on
from vae_anomaly.data.tables.name_words import words_of

_MORE_THAN_GROUPS: Final = 20  # different values
_MANY: Final = 50  # different values, where name and cells could be those of a thing

_WHOLE: Final = re.compile(r"\d+")
_KEY: Final = re.compile(r"(?!\d*[.,]\d)[\w#*.:/@' -]+")
_LONG_KEY: Final = re.compile(r"(?!\d*[.,]\d)[\w#*.:/@' -]{5,}")
_Words = frozenset[str]
_WHO: Final = called.PERSONS | called.PAYMENT_CARDS | called.ACCOUNTS


@dataclass(frozen=True)
class _Rule:
    """What makes a column one of those that say who, where or which."""

    what: str
    role: Role
    fits: Callable[[_Words, CellsLook], bool]
    least: int = _MORE_THAN_GROUPS
    kind: ColumnKind = ColumnKind.IDENTIFIER


def _looks(form: re.Pattern[str]) -> Callable[[_Words, CellsLook], bool]:
    """Make a rule of the cells alone."""
    return lambda _, look: look.is_like(form)


def _called(
    name: Callable[[_Words], bool], form: re.Pattern[str]
) -> Callable[[_Words, CellsLook], bool]:
    """Make a rule of name and cells; what is measured of somebody is no name."""
    return lambda said, look: name(said) and not said & called.MEASURES and look.is_like(form)


def _is_phone(said: _Words) -> bool:
    whole = called.PHONES | called.NUMBERS | called.PERSONS | called.WHERE_PHONES_ARE
    return bool(said & called.PHONES) and said <= whole | called.SIDES


def _is_postal(said: _Words) -> bool:
    return bool(said & called.POSTAL_ALONE) or {"code"} < said <= called.POSTAL | {"code"}


def _is_name(said: _Words) -> bool:
    whole = called.NAMES | called.GIVEN | called.PERSONS | called.SIDES
    return said <= whole and bool(said & called.NAMES or said <= called.GIVEN)


def _is_account(said: _Words) -> bool:
    whole = called.ACCOUNTS | called.PERSONS | called.NUMBERS | called.SIDES | called.NAMES
    return said <= whole and bool(said & (called.ACCOUNTS | called.NAMES))


def _is_person(said: _Words) -> bool:
    named = said & called.PERSONS and not said <= called.SEVERAL
    return bool(named) and said <= _WHO | called.NUMBERS | called.SIDES


def _is_card_or_account(said: _Words) -> bool:
    named = said & _WHO and not said <= called.SEVERAL
    return bool(named) and said <= _WHO | called.NUMBERS | called.SIDES


def _is_official(said: _Words) -> bool:
    social = {"social", "security"}
    whole = called.OFFICIAL | called.NUMBERS | called.PERSONS | called.PLATES | social
    return (bool(said & called.OFFICIAL) or social <= said) and said <= whole


def _called_of_birth(said: _Words, look: CellsLook) -> bool:
    return bool(said & called.BIRTH) and look.is_like(looks.DATE)


def _is_row(said: _Words, look: CellsLook) -> bool:
    """Tell whether a column numbers the rows, once or file by file."""
    if not said & called.COUNTERS or not look.is_like(_WHOLE):
        return False
    whole = said <= called.COUNTERS | called.NUMBERS
    return "unnamed" in said or (whole and (look.n_distinct > look.n / 2 or look.counts_on))


_RULES: Final = (
    _Rule("e-mail addresses", "person", _looks(looks.EMAIL)),
    _Rule("account numbers", "person", lambda _, look: looks.is_iban(look)),
    _Rule("card numbers", "person", lambda _, look: looks.is_card(look)),
    _Rule("phone numbers", "person", _looks(looks.FOREIGN_PHONE)),
    _Rule("social security numbers", "person", _looks(looks.SOCIAL_SECURITY)),
    _Rule("addresses", "place", lambda _, look: looks.is_address(look), kind=ColumnKind.IGNORED),
    _Rule("links", "identifier", _looks(looks.URL)),
    _Rule("unique ids", "identifier", _looks(looks.UUID), _MANY),
    _Rule("hashes", "identifier", _looks(looks.HASH), _MANY),
    _Rule("network addresses", "identifier", _looks(looks.IP_ADDRESS), _MANY),
    _Rule("network addresses", "identifier", _looks(looks.MAC_ADDRESS), _MANY),
    _Rule("vehicle numbers", "identifier", _looks(looks.VEHICLE), _MANY),
    _Rule("card numbers", "person",
          lambda said, look: bool(said & called.PAYMENT_CARDS) and looks.has_card_digits(look)),
    _Rule("birth dates", "person", _called_of_birth, kind=ColumnKind.IGNORED),
    _Rule("phone numbers", "person", _called(_is_phone, looks.PHONE)),
    _Rule("official numbers of persons", "person",
          _called(_is_official, looks.OFFICIAL_NUMBER), _MANY),
    _Rule("number plates", "person",
          _called(lambda said: bool(said & called.PLATES), looks.PLATE), _MANY),
    _Rule("postal codes", "place", _called(_is_postal, looks.POSTAL_CODE), kind=ColumnKind.IGNORED),
    _Rule("streets", "place",
          _called(lambda said: bool(said & called.STREETS), looks.STREET_NAME),
          kind=ColumnKind.IGNORED),
    _Rule("names of persons", "person", _called(_is_name, looks.PERSONAL_NAME),
          kind=ColumnKind.IGNORED),
    _Rule("account numbers", "person", _called(_is_account, looks.CODE), _MANY),
    _Rule("keys of customers", "person", _called(_is_person, _KEY), _MANY),
    _Rule("keys of cards or accounts", "person", _called(_is_card_or_account, _LONG_KEY), _MANY),
    _Rule("numbers of rows", "identifier", _is_row),
    _Rule("sentences", "identifier", lambda _, look: looks.is_prose(look), _MANY),
)  # fmt: skip


def proposed_roles(
    columns: Mapping[str, Column], series: Mapping[str, pd.Series], said: Collection[str]
) -> dict[str, Column]:
    """Return the columns that get a role, with the kind that leaves them out."""
    out: dict[str, Column] = {}
    for name, column in columns.items():
        if column.role is not None or column.kind is ColumnKind.IGNORED:
            continue
        if name in said:
            out |= _declared_person(column, series[name])
            continue
        found = _as_label(column, series[name]) or _as_person(column, series[name])
        if found is None and column.kind is ColumnKind.IDENTIFIER:
            found = column.model_copy(update={"role": "identifier"})
        if found is not None:
            out[name] = found
    return out


def _declared_person(column: Column, series: pd.Series) -> dict[str, Column]:
    """Return an identifier that somebody has declared, as the key of persons where it is one."""
    if column.kind is not ColumnKind.IDENTIFIER:
        return {}
    found = _as_person(column, series)
    is_key = found is not None and found.role == "person"
    return {column.name: column.model_copy(update={"role": "person"})} if is_key else {}


def known_answer(
    columns: Mapping[str, Column], series: Mapping[str, pd.Series], label: pd.Series | None
) -> Bools | None:
    """Say which rows are anomalous by the label or, without one, by a column that looks like it.

    None where nothing tells, or all rows are told to be the same.
    """
    if label is not None:
        return told_by(str(label.name), label)
    told = (
        told_by(name, series[name])
        for name, column in columns.items()
        if column.role == "label" and column.kind is ColumnKind.IGNORED
    )
    found = [rows for rows in told if rows is not None]
    return np.logical_or.reduce(found) if found else None


def copies_of_label(
    columns: Mapping[str, Column],
    series: Mapping[str, pd.Series],
    said: Collection[str],
    is_anomaly: Bools,
) -> dict[str, Column]:
    """Return, as left out, the features that repeat the label of the rows, shape (N,)."""
    out = {}
    for name, column in columns.items():
        if name in said or column.kind not in FEATURE_KINDS:
            continue
        reason = label_copies.reason_of_copy(series[name], is_anomaly)
        if reason is not None:
            out[name] = _left_out(column, "label", ColumnKind.IGNORED, reason)
    return out


def likeliest_label(columns: Sequence[Column], series: Mapping[str, pd.Series]) -> Column:
    """Return the column that says of most rows what they are: yes and no, rather than kinds."""

    def certainty(column: Column) -> tuple[bool, bool]:
        answers = AnswerCells.of(series[column.name])
        told = told_by(column.name, series[column.name]) is not None
        return told, answers is not None and answers.are_truths

    return max(columns, key=certainty)


def told_by(name: str, series: pd.Series) -> Bools | None:
    """Say which rows a column that holds the answer calls anomalous, shape (N,).

    None where it holds no answer, or calls all rows the same.
    """
    answers = AnswerCells.of(series)
    if answers is None:
        return None
    texts = pd.Series(cells.read_text(series), dtype=object).str.lower()
    told = texts.isin(answers.anomalous)
    if answers.are_truths and says_normal(name):
        told = ~told & texts.notna()
    return told.to_numpy(dtype=bool) if 0 < told.sum() < len(told) else None


def _as_label(column: Column, series: pd.Series) -> Column | None:
    """Return a column as the answer; one that is only called so keeps its kind."""
    if column.kind not in FEATURE_KINDS - {ColumnKind.TIMESTAMP}:
        return None
    verdict = verdict_on(column.name, AnswerCells.of(series))
    if verdict == "doubtful":
        note = f"{column.note}; may be a label"
        return column.model_copy(update={"role": "label", "note": note})
    if verdict is None:
        return None
    told = told_by(column.name, series)
    share = "" if told is None else f", anomalous in {told.mean():.2%} of rows"
    return _left_out(column, "label", ColumnKind.IGNORED, f"looks like the label{share}")


def _as_person(column: Column, series: pd.Series) -> Column | None:
    """Return a column that says who, where or which as left out."""
    said = _words_said(column.name)
    if column.kind is ColumnKind.TIMESTAMP:
        if not said & called.BIRTH:
            return None
        return _left_out(column, "person", ColumnKind.IGNORED, "birth dates")
    if column.kind is ColumnKind.BOOLEAN:
        return None
    look = CellsLook.at(series)
    for rule in _RULES:
        if look.n_distinct > rule.least and rule.fits(said, look):
            note = f"{rule.what}, {look.n_distinct:,} different"
            return _left_out(column, rule.role, rule.kind, note)
    return None


def _words_said(name: str) -> _Words:
    """Return the words of a name without the number that tells copies apart: ``Account.1``."""
    return frozenset(words_of(re.sub(r"[.]\d+$|: \d+$", "", name), called.ALL_WORDS))


def _left_out(column: Column, role: Role, kind: ColumnKind, note: str) -> Column:
    return column.model_copy(update={"role": role, "kind": kind, "note": note})
