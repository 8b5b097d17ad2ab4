"""Names are readable, reversible, short enough for disks, and no two are alike."""

from __future__ import annotations

import ast
import codecs
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vae_anomaly
from vae_anomaly.errors import DataError
from vae_anomaly.names import (
    LEGIBLE_ERRORS,
    alike,
    bounded,
    legible,
    spelled,
    typed,
    unlike,
    unspelled,
)

BASH = shutil.which("bash")
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


OUR_OWN = {"noun", "kind", "what", "words", "SYNTHETIC", "pixels", "rate", "size_bytes"}
"""Words of our own that commands are printed with."""


@pytest.mark.skipif(BASH is None, reason="needs bash")
@pytest.mark.parametrize(
    "word",
    ["plain", "a b", "it's", "$HOME", "`x`", '"', "#1", "a\\b", "*", "~", "", "-x", "ü", "a\nb\t",
     os.fsdecode(b"pr\xfcf's \\ $x"), os.fsdecode(b"\xe4" + b"0"), "日本\u2028"],
)  # fmt: skip
def test_what_is_typed_is_what_the_shell_reads(word):
    line = f"printf '%s\\0' {typed(word, 'end')}"
    done = subprocess.run([BASH, "-c", os.fsencode(line)], capture_output=True, check=True)
    assert line.isprintable()
    assert done.stdout == os.fsencode(word) + b"\0end\0"


def commands_with_names() -> Iterator[tuple[str, str]]:
    """Yield where a command or option is printed with something that was named, and what."""
    package = Path(vae_anomaly.__file__).parent
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.JoinedStr):
                continue
            before = ""
            for part in node.values:
                if isinstance(part, ast.Constant):
                    before += str(part.value)
                    continue
                asked = r"(vae-anomaly( [a-z{}]+)+|--[a-z-]+)[ =]'?$|mlflow ui --backend\S+ $"
                if re.search(asked, before) and before != "--out ":  # which repeats what was given
                    yield f"{file.name}:{node.lineno}", ast.unparse(part.value)  # type: ignore[attr-defined]
                before += "{}"


def test_every_command_that_is_printed_can_be_typed_whatever_it_names():
    found = list(commands_with_names())
    assert len(found) > 20
    quoting = ("typed(", "shlex.quote(", "quote(")
    assert [(w, what) for w, what in found if not what.startswith(quoting)] == [
        (w, what) for w, what in found if what in OUR_OWN
    ]
