"""How a column writes its numbers follows from all of its cells, or is asked."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from vae_anomaly.data.tables.kinds import ColumnKind, infer_column
from vae_anomaly.data.tables.kinds.writing import number_writing
from vae_anomaly.data.tables.schema import Schema

CENTS = [f"{v:.2f}" for v in np.round(np.exp(np.random.default_rng(0).normal(5, 1, 200)), 2)]
COMMAS = [text.replace(".", ",") for text in CENTS]
THOUSANDS = [f"{v},{v % 900 + 100}" for v in range(1, 90)]

DECIDED = [
    ("plain", CENTS, None),
    ("plain with a broken cell", [*CENTS, "broken"], None),
    ("decimal comma", COMMAS, "1.234,5"),
    ("a point is proven by one of many", ["1,234", "12.50"] * 30, "1,234.5"),
    ("two groups prove the thousands", ["1,234,567", "1,234"] * 30, "1,234.5"),
    ("nought before the sign proves it", ["0,125", "1,125"] * 30, "1.234,5"),
    ("spaces alone", ["1 234", "999"] * 30, "1,234.5"),
    ("unit", ["12,5 kg", "1 kg"] * 30, "1.234,5 kg"),
    ("one currency in two writings", ["12 €", "1,50 €", "13 EUR"] * 30, "1.234,5 €"),
    ("a currency that is left out", ["12.50 $", "13.50"] * 30, "1,234.5 $"),
    ("a stray cell of another sign", [*COMMAS, "12.50"], "1.234,5"),
    ("both signs, each cell certain", [*CENTS, *COMMAS], "1.5 or 1,5"),
]


@pytest.mark.parametrize(("texts", "form"), [d[1:] for d in DECIDED], ids=[d[0] for d in DECIDED])
def test_cells_that_prove_a_format_decide_for_the_column(texts, form):
    writing = number_writing("x", Counter(texts))
    assert writing.is_read
    assert writing.doubt == ""
    assert writing.form == form or str(writing.form) == form


ASKED = [
    ("only cells that prove nothing", THOUSANDS, "--number-format x=1,234.5 (1101)"),
    ("points that may part thousands", [*(t.replace(",", ".") for t in THOUSANDS), "987"],
     "--number-format x=1.234,5 (1101)"),
    ("few proofs", [*THOUSANDS * 20, "12.5"], "--number-format x=1.234,5 (1.101)"),
    ("both proven", [*CENTS, *COMMAS, *THOUSANDS], "has a decimal point, "),
    ("percent here, none there", ["12 %", "13 %", "12"] * 30, "--number-format 'x=1,234.5 [%]'"),
    ("two units", ["12 kg", "13 g"] * 30, "in one unit"),
    ("two currencies", ["12 €", "13 $"] * 30, "'12 €', '13 $'"),
    ("words among numbers", [*CENTS, *["broken"] * 9], "95.7% of its cells are, others such as"),
    ("millions in words", [f"{text} Mio. €" for text in COMMAS], "Write plain numbers"),
    ("text of a spreadsheet", [f"'{text}" for text in CENTS], "Write plain numbers"),
    ("words to be missing", [*COMMAS, *["n.d."] * 9], "--missing x=n.d."),
]  # fmt: skip


@pytest.mark.parametrize(("texts", "words"), [a[1:] for a in ASKED], ids=[a[0] for a in ASKED])
def test_what_the_cells_leave_open_is_asked_with_the_options(texts, words):
    column = infer_column("x", pd.Series(texts))
    assert column.kind in {ColumnKind.CATEGORICAL, ColumnKind.IDENTIFIER}
    assert words in column.doubt
    assert column.doubt.startswith("column 'x' is not read as numbers: ")


@pytest.mark.parametrize(
    "texts",
    [
        ["red", "blue"],
        [f"R{i}" for i in range(99)],
        [f"EUR{i}" for i in range(99)],
        ["12a", "12b", "14a", "16c"],
        ["1st", "2nd", "3rd"],
        ["007", "012"],
        ["10:30", "11:45"],
        ["12345-6789", "12345-1111"],
        ["1-5", "6-10", "<1"],
        [f"10.0.{i}.7" for i in range(99)],
        [f"v1.{i}" for i in range(9)],
    ],
    ids=lambda texts: texts[0],
)
def test_codes_and_words_are_no_numbers_and_no_question(texts):
    column = infer_column("x", pd.Series(texts * 3))
    assert column.kind in {ColumnKind.CATEGORICAL, ColumnKind.IDENTIFIER}
    assert column.doubt == ""


def test_an_answer_takes_the_doubt_away():
    frame = pd.DataFrame({"x": THOUSANDS})
    formats = {"x": "1,234.5"}
    column = Schema.infer(frame, number_formats=formats)["x"]
    assert (column.kind, column.number_format, column.doubt) == ("numeric", "1,234.5", "")
    words = pd.DataFrame({"x": [*CENTS, *["broken"] * 9]})
    column = Schema.infer(words, missing={"x": ["broken"]})["x"]
    assert (column.kind, column.missing, column.doubt) == ("numeric", ("broken",), "")


def test_a_schema_that_a_person_edited_keeps_format_and_missing_words():
    frame = pd.DataFrame({"x": THOUSANDS})
    schema = Schema.infer(frame, number_formats={"x": "1.234,5"}, missing={"x": ["leer"]})
    again = Schema.infer(frame, said=schema.columns)["x"]
    assert (again.number_format, again.missing) == ("1.234,5", ("leer",))


def test_numeric_by_declaration_is_read_in_the_format_of_its_cells():
    frame = pd.DataFrame({"x": [*COMMAS, *["broken"] * 30]})
    schema = Schema.infer(frame, overrides={"x": "numeric"})
    bad = schema.bad_rows(frame).dropna()
    assert len(bad) == 30
    assert "'broken' is not written like the column's numbers (1.234,5)" in bad.iloc[0][1]


TRUTH = [
    ("ja nein Ja", True), ("oui non", True), ("sí no", True), ("si NO", True), ("on off", True),
    ("J N", True), ("O N", False), ("T F", True), ("wahr falsch", True), ("vrai faux", True),
    ("Yes YES TRUE 1 no 0 FALSE", True), ("1.0 0 1", True), ("yes no unknown n/a", True),
    ("ja no", False), ("yes", False), ("yes unknown", False), ("yes no perhaps", False),
    ("oui nein", False), ("n o t", False), ("n o non", True), ("on aus", False),
]  # fmt: skip


@pytest.mark.parametrize(("words", "is_boolean"), TRUTH, ids=[words for words, _ in TRUTH])
def test_words_of_one_language_for_both_truth_values_are_a_boolean(words, is_boolean):
    frame = pd.DataFrame({"x": words.split() * 10})
    schema = Schema.infer(frame)
    assert (schema["x"].kind == "boolean") == is_boolean
    if is_boolean:
        assert set(schema.cast(frame)["x"].dropna()) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("texts", "is_read", "asks"),
    [
        ([f"T{i:06d}" for i in range(50_000)], False, False),
        ([f"{i},50" for i in range(50_000)], True, False),
        ([f"{i},50" if i % 4 else f"p{i}" for i in range(50_000)], False, True),
    ],
    ids=["names", "numbers", "both"],
)
def test_many_different_texts_are_told_as_few_are(texts, is_read, asks):
    for some in (texts, texts[:400]):
        writing = number_writing("x", Counter(some))
        assert (writing.is_read, bool(writing.doubt)) == (is_read, asks)


def test_three_decimals_everywhere_are_read_and_said_to_be_so():
    writing = number_writing("x", Counter(text.replace(",", ".") for text in THOUSANDS))
    assert writing.is_read
    assert "is read with a decimal point" in writing.doubt


@pytest.mark.parametrize("proof", ["0.125", "1.5", "1234", "1e3"])
def test_one_cell_proves_that_points_are_decimal_ones(proof):
    texts = [*(text.replace(",", ".") for text in THOUSANDS), "987", proof]
    writing = number_writing("x", Counter(texts))
    assert (writing.is_read, writing.doubt) == (True, "")
