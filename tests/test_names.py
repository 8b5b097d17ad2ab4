"""Names are readable, reversible, short enough for disks, and no two are alike."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_anomaly.errors import DataError
from vae_anomaly.names import LEGIBLE_ERRORS, alike, bounded, legible, spelled, unlike, unspelled

LATIN = "Pr\udcfcfling.jpg"  # as Python has the bytes b"Pr\xfcfling.jpg"
names = st.text(
    st.one_of(st.characters(), st.sampled_from("\\xu0F5C\n\x85\u2028\udcfc\udc80\ud800")),
    min_size=1,
)


@given(names)
def test_a_spelling_is_one_line_of_text_and_leads_back_to_the_name(name):
    text = spelled(name)
    assert unspelled(text) == name
    assert len(text.splitlines()) == 1
    text.encode()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (LATIN, "Pr\\xFCfling.jpg"),
        ("Prüfling 1 中.jpg", "Prüfling 1 中.jpg"),
        ("a\nb", "a\\x0Ab"),
        ("a\\b", "a\\b"),
        ("a\\xFC", "a\\x5CxFC"),
    ],
    ids=["latin-1", "unicode", "newline", "backslash", "like a spelling"],
)
def test_only_what_has_no_reading_is_spelled(name, text):
    assert spelled(name) == text


def test_errors_and_streams_spell_names_alike_and_keep_their_lines():
    assert str(DataError(f"{LATIN} is empty.\nCopy it.")) == "Pr\\xFCfling.jpg is empty.\nCopy it."
    assert codecs.encode(f"{LATIN} €", "latin-1", LEGIBLE_ERRORS) == b"Pr\\xFCfling.jpg \\u20ac"
    assert legible("plain") == "plain"


@given(names, st.integers(40, 255))
def test_a_bounded_name_fits_is_stable_and_stays_whole_where_it_can(name, most):
    name = spelled(name) * 9
    short = bounded(name, most, ".png")
    assert len(short.encode()) <= most
    assert short.endswith(".png")
    assert bounded(name, most, ".png") == short
    assert short == name + ".png" or len((name + ".png").encode()) > most


def test_long_names_that_begin_alike_differ():
    assert bounded("a" * 300 + "1", 99) != bounded("a" * 300 + "2", 99)


@given(st.lists(names, unique=True, max_size=8))
def test_no_two_names_are_alike_even_where_case_does_not_count(given_names):
    told = unlike(["Part", *map(spelled, given_names)], ["part", *given_names], 60, ".png")
    assert len({alike(name) for name in told}) == len(told)
    assert all(len(name.encode()) <= 60 for name in told)
