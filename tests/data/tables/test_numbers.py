"""Numbers as people write them are read right, or asked about; never read wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vae_anomaly.data.tables.cells import MISSING_WORDS, NumberFormat, read_numbers
from vae_anomaly.data.tables.read import read_table
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.errors import ConfigError, DataError, SchemaError

READ = [
    ("1.234,56", "1.234,5", 1234.56),
    ("1,234.56", "1,234.5", 1234.56),
    ("12,5", "1.234,5", 12.5),
    ("1.234", "1.234,5", 1234),
    ("1,234", "1,234.5", 1234),
    ("0,125", "1.234,5", 0.125),
    ("1.234.567", "1.234,5", 1234567),
    ("12,34,567.00", "1,234.5", 1234567),
    ("1 234,56 kr", "1.234,5 kr", 1234.56),
    ("1\u00a0234\u202f567,5", "1.234,5", 1234567.5),
    ("1'234.50", "1,234.5", 1234.5),
    ("1\u2019234.50", "1,234.5", 1234.5),
    ("USD 1,200.00", "1,234.5 $", 1200),
    ("12,50 €", "1.234,5 EUR", 12.5),
    ("12,50", "1.234,5 €", 12.5),
    ("-€12.50", "1,234.5 €", -12.5),
    ("€-12.50", "1,234.5 €", -12.5),
    ("12.50-", "1,234.5", -12.5),
    ("12,50 EUR-", "1.234,5 €", -12.5),
    ("(12.50)", "1,234.5", -12.5),
    ("($1,200.00)", "1,234.5 $", -1200),
    ("\u221212,5", "1.234,5", -12.5),
    ("\u2013 12,5", "1.234,5", -12.5),
    ("12.-", "1,234.5", 12),
    ("1.200,--", "1.234,5", 1200),
    ("12 %", "1,234.5 %", 12),
    ("%12", "1,234.5 %", 12),
    ("12", "1,234.5 [%]", 12),
    ("-3.5\u00b0C", "1,234.5 °C", -3.5),
    ("12 m²", "1,234.5 m²", 12),
    ("1e3", "1.234,5", 1000),
    ("1,5E+03", "1.234,5", 1500),
    ("+3", "1,234.5", 3),
    ("3.", "1,234.5", 3),
    (".5", "1,234.5", 0.5),
    ("\uff11\uff12\uff0e\uff15", "1,234.5", 12.5),
    ("\u0661\u0662\u066b\u0665", "1,234.5", 12.5),
    ("12,50", "1.5 or 1,5", 12.5),
    ("12.50", "1.5 or 1,5", 12.5),
]


@pytest.mark.parametrize(("text", "form", "value"), READ, ids=[case[0] for case in READ])
def test_a_number_is_read_as_its_column_writes_it(text, form, value):
    values, codes = read_numbers(pd.Series([text, None]), NumberFormat.parse(form))
    assert values[0] == value
    assert codes.tolist() == [None, None]


NOT_READ = [
    ("12.50", "1.234,5"),
    ("12,50", "1,234.5"),
    ("1.23", "1.234,5"),
    ("1.234.56", "1.234,5"),
    ("1 23", "1,234.5"),
    ("12 $", "1,234.5 €"),
    ("12 €", "1,234.5"),
    ("12", "1,234.5 %"),
    ("12 g", "1,234.5 kg"),
    ("1,234", "1.5 or 1,5"),
    ("\u00bd", "1,234.5"),
    ("1\u00bd", "1,234.5"),
    ("10\u00b2", "1,234.5"),
    ("--5", "1,234.5"),
    ("-(5)", "1,234.5"),
    ("(5", "1,234.5"),
    ("12-15", "1,234.5"),
    ("<5", "1,234.5"),
    ("1_000", "1,234.5"),
    ("0x1f", "1,234.5"),
    ("12.03.2024", "1.234,5"),
    ("10:30", "1,234.5"),
    ("1 " * 5000, "1,234.5"),
]


@pytest.mark.parametrize(("text", "form"), NOT_READ, ids=[f"{t[:12]} as {f}" for t, f in NOT_READ])
def test_what_is_not_written_so_is_bad(text, form):
    values, codes = read_numbers(pd.Series([text]), NumberFormat.parse(form))
    assert np.isnan(values[0])
    assert codes[0] == "not_a_number"


@pytest.mark.parametrize("form", ["1.234,5", "1,234.5 €", "1,234.5 [%]", "1.5 or 1,5"])
def test_what_is_stored_as_a_number_is_read_under_any_format(form):
    cells = pd.Series([1234.5, -1, True, None, "n/a", "inf"], dtype=object)
    values, codes = read_numbers(cells, NumberFormat.parse(form))
    np.testing.assert_array_equal(values, [1234.5, -1, 1, np.nan, np.nan, np.nan])
    assert codes.tolist() == [None] * 5 + ["infinite"]


@pytest.mark.parametrize("text", ["1,234.5", "1.234,5 €", "1,234.5 [%]", "1.5 or 1,5 kg"])
def test_a_format_is_written_as_it_is_read(text):
    assert str(NumberFormat.parse(text)) == text


WORDS = ["\\N", ".", "--", "unknown", "Missing", "(null)", "nil", "#DIV/0!", "#N/A", "#VALUE!",
         "#REF!", "k.A.", "n.a.", "n/d", "ND", "null", "NaN", "-", "?", "*", ""]  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("written", ["12,50", "12.50", "1.234,50 €"])
def test_a_word_for_missing_is_no_value_and_no_fault(word, written):
    frame = pd.DataFrame({"amount": [written] * 300 + [word] * 3})
    schema = Schema.infer(frame)
    assert schema["amount"].kind == "numeric"
    assert schema.cast(frame)["amount"].isna().tolist() == [False] * 300 + [True] * 3


@st.composite
def written_columns(draw):
    """Draw numbers, and how an office writes them: the texts, the numbers, what they mean."""
    decimal = draw(st.sampled_from(".,"))
    other = "," if decimal == "." else "."
    thousands = draw(st.sampled_from(["", other, " ", "\u00a0", "\u202f", "'", "\u2019"]))
    places = draw(st.sampled_from([0, 1, 2, 2, 3]))
    unit = draw(st.sampled_from(["", "", " €", "EUR ", "$", " %", " kg", "zł"]))
    minus = draw(st.sampled_from(["-", "\u2212", "\u2013", "behind", "brackets"]))
    numbers = st.floats(-1e7, 1e7).map(lambda x: round(x * abs(x) / 1e7, places))
    values = draw(st.lists(numbers, min_size=12, max_size=30))
    word = draw(st.sampled_from(["n/a", "#N/A", "\\N", "-", "unknown"]))
    texts = [_write(value, decimal, thousands, places, unit, minus) for value in values]
    return [*texts, word], [*values, np.nan], NumberFormat(decimal, unit.strip())


def _write(value, decimal, thousands, places, unit, minus):
    digits = f"{abs(value):,.{places}f}".translate(str.maketrans({",": thousands, ".": decimal}))
    text = unit + digits if unit in {"EUR ", "$"} else digits + unit
    if not value < 0:
        return text
    return {"behind": f"{text}-", "brackets": f"({text})"}.get(minus, f"{minus}{text}")


@settings(max_examples=40)
@given(written_columns())
def test_numbers_in_any_writing_are_read_back_or_asked_about_never_read_wrong(written):
    texts, values, _ = written
    frame = pd.DataFrame({"x": texts})
    schema = Schema.infer(frame)
    column = schema["x"]
    if column.kind == "numeric":
        np.testing.assert_allclose(schema.cast(frame)["x"], values)
    else:
        assert "--number-format x=" in column.doubt or "never repeat" in column.note


@settings(max_examples=40)
@given(written_columns())
def test_the_right_format_given_by_a_person_reads_every_cell(written):
    texts, values, form = written
    read, codes = read_numbers(pd.Series(texts), form)
    np.testing.assert_allclose(read, values)
    assert pd.isna(codes).all()


def column_of(texts: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"amount": texts})


def test_a_cell_that_is_not_in_the_columns_format_is_named_with_the_format():
    schema = Schema.infer(column_of(["12,50", "1.234,00"] * 20))
    fault = schema.bad_rows(column_of(["12.50", "12,50"]))
    assert (
        fault[0][1] == "column 'amount': '12.50' is not written like the column's numbers (1.234,5)"
    )
    assert fault[1] is None
    with pytest.raises(DataError, match=r"'12\.50' is not written like the column's numbers"):
        schema.cast(column_of(["12.50", "12,50"]))


def test_a_file_in_another_format_is_refused_whole():
    schema = Schema.infer(column_of(["12,50", "1.234,00"] * 20))
    with pytest.raises(SchemaError, match=r"is not written like the column's numbers \(1\.234,5\)"):
        schema.check(column_of(["12.50", "13.75", "14.25"]))
    plain = Schema.infer(column_of([12.5, 13.75] * 20))
    with pytest.raises(SchemaError, match=r"is not written like the column's numbers \(1234\.5\)"):
        plain.check(column_of(["12,50", "13,75", "14,25"]))


def test_one_table_is_the_same_in_every_office():
    values = np.round(np.exp(np.random.default_rng(0).normal(5, 2, 200)), 2)
    german = str.maketrans(",.", ".,")
    offices = {
        "plain": values,
        "text": [f"{v:.2f}" for v in values],
        "english": [f"{v:,.2f}" for v in values],
        "german": [f"{v:,.2f}".translate(german) for v in values],
        "euro": [f"{v:,.2f} €".translate(german) for v in values],
        "swiss": [f"CHF {v:,.2f}".replace(",", "\u2019") for v in values],
        "swedish": [f"{v:,.2f} kr".replace(",", "\u00a0").replace(".", ",") for v in values],
    }
    for office, texts in offices.items():
        frame = column_of(list(texts))
        cast = Schema.infer(frame).cast(frame)["amount"]
        np.testing.assert_array_equal(cast, values, err_msg=office)


def test_a_day_that_proves_nothing_is_read_as_the_other_days_say(tmp_path):
    (tmp_path / "1.csv").write_text("amount;n\n" + "12,50;1\n1.234,00;2\n" * 30)
    (tmp_path / "2.csv").write_text("amount;n\n" + "1.234;3\n5.678;4\n" * 30)
    frame = read_table(tmp_path)
    read = Schema.infer(frame).cast(frame)
    assert read["amount"].unique().tolist() == [12.5, 1234, 5678]
    assert read["n"].unique().tolist() == [1, 2, 3, 4]


def test_days_that_differ_in_the_decimal_sign_are_read_each_its_way(tmp_path):
    (tmp_path / "1.csv").write_text("amount;n\n" + "12,50;1\n1.234,00;2\n" * 30)
    (tmp_path / "2.csv").write_text("amount;n\n" + "12.75;3\n1,234.00;4\n13.5;4\n" * 30)
    frame = read_table(tmp_path)
    schema = Schema.infer(frame)
    assert schema["amount"].number_format == "1.5 or 1,5"
    assert schema.cast(frame)["amount"].unique().tolist() == [12.5, 1234, 12.75, 13.5]


@pytest.mark.parametrize("stored", [float, "Int64", str, object, "category"])
def test_a_number_may_stand_for_missing_in_any_storage(stored):
    cells = pd.Series([-999, 5, 7]).astype(stored)
    schema = Schema.infer(column_of([5.0, 7, -999] * 20), missing={"amount": ["-999"]})
    assert schema["amount"].missing == ("-999",)
    read = schema.cast(pd.DataFrame({"amount": cells}))["amount"]
    np.testing.assert_array_equal(read, [np.nan, 5, 7])


def test_words_for_missing_are_kept_by_the_schema_in_every_kind_of_column():
    frame = pd.DataFrame(
        {
            "amount": ["12,50", "leer", "13,75"] * 20,
            "sent": ["ja", "LEER", "nein"] * 20,
            "shop": ["a", "leer", "b"] * 20,
            "at": ["2026-01-02", "leer", "2026-01-03"] * 20,
        }
    )
    schema = Schema.from_json(Schema.infer(frame, missing={"": ["leer"]}).to_json())
    kinds = ["numeric", "boolean", "categorical", "timestamp"]
    assert [column.kind for column in schema.columns] == kinds
    assert schema.cast(frame).isna().to_numpy()[:3].tolist() == [
        [False] * 4,
        [True] * 4,
        [False] * 4,
    ]


def test_a_format_or_column_that_does_not_exist_is_refused_with_those_that_do():
    frame = column_of(["1,234"] * 30)
    with pytest.raises(ConfigError, match=r"'1\.000' is no format of numbers\. Write 1,234\.5"):
        Schema.infer(frame, number_formats={"amount": "1.000"})
    with pytest.raises(ConfigError, match="did you mean 'amount'"):
        Schema.infer(frame, number_formats={"amont": "1,234.5"})
    with pytest.raises(ConfigError, match="did you mean 'amount'"):
        Schema.infer(frame, missing={"amont": ["x"]})


def test_every_word_for_missing_is_compared_in_lower_case():
    assert {word.lower() for word in MISSING_WORDS} == MISSING_WORDS
