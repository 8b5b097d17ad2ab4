from __future__ import annotations

import decimal
import json
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vae_anomaly.data.tables.kinds import Column, ColumnKind
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.errors import ConfigError, DataError, SchemaError

N = 200


def payments() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    times = pd.date_range("2024-01-01", periods=N, freq="37min")
    return pd.DataFrame(
        {
            "transaction_id": rng.permutation(N) + 10_000,
            "customer_id": rng.integers(0, 120, N),
            "time": times,
            "elapsed_s": (times - times[0]).total_seconds() + 0.5,
            "amount": rng.lognormal(3, 1, N),
            "quantity": rng.integers(1, 9, N),
            "merchant": rng.choice(["grocery", "fuel", "none", "NA"], N),
            "is_online": rng.choice(["yes", "no"], N),
            "card_present": rng.integers(0, 2, N),
            "country": pd.Categorical(rng.choice(["DE", "FR"], N)),
            "remark": [f"free text {i}" for i in range(N)],
            "nothing": [None] * N,
            "label": rng.integers(0, 2, N),
        }
    )


def kind_of(values: object, name: str = "x", **options: object) -> ColumnKind:
    frame = pd.DataFrame({name: values})
    return Schema.infer(frame, **options)[name].kind  # type: ignore[arg-type]  # options of mixed types


def test_infer_finds_the_kind_of_each_column() -> None:
    schema = Schema.infer(payments(), label="label")
    assert {c.name: c.kind.value for c in schema.columns} == {
        "transaction_id": "identifier",
        "customer_id": "identifier",
        "time": "timestamp",
        "elapsed_s": "ignored",
        "amount": "numeric",
        "quantity": "numeric",
        "merchant": "categorical",
        "is_online": "boolean",
        "card_present": "boolean",
        "country": "categorical",
        "remark": "identifier",
        "nothing": "ignored",
    }


def test_every_column_says_why() -> None:
    assert all(column.note for column in Schema.infer(payments()).columns)


def test_label_is_no_column() -> None:
    schema = Schema.infer(payments(), label="label")
    assert "label" not in schema.names
    assert schema.label == "label"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        pytest.param([1, 2, 3] * 10, "numeric", id="few whole numbers stay numeric"),
        pytest.param([1.5, None, 2.5] * 10, "numeric", id="missing cells"),
        pytest.param(["1.5", "", "2"] * 10, "numeric", id="numbers as text"),
        pytest.param(["007", "008"] * 10, "categorical", id="codes with leading zeros"),
        pytest.param([decimal.Decimal("1.5"), None] * 10, "numeric", id="decimals"),
        pytest.param([timedelta(hours=1), timedelta(hours=2)] * 9, "numeric", id="durations"),
        pytest.param([0] * 30, "numeric", id="constant"),
        pytest.param([0, 1, None] * 10, "boolean", id="zero and one"),
        pytest.param([1, 2] * 10, "numeric", id="one and two are amounts"),
        pytest.param(["Y", "N", None] * 10, "boolean", id="Y and N"),
        pytest.param(["M", "F"] * 10, "categorical", id="two words that are not truth"),
        pytest.param([date(2024, 1, 2), None] * 10, "timestamp", id="Python dates"),
        pytest.param(["2024-01-02", "2024-01-03T10:00:00+02:00"] * 9, "timestamp", id="ISO text"),
        pytest.param(["31/12/2024", "01/02/2024"] * 9, "timestamp", id="day first"),
        pytest.param(["Jan", "Feb"] * 9, "categorical", id="months are no dates"),
        pytest.param([[1], [2]] * 9, "ignored", id="lists"),
        pytest.param([b"a", b"b"] * 9, "ignored", id="bytes"),
        pytest.param([1, "a", 2.5, None] * 9, "categorical", id="mixed"),
        pytest.param(range(1000, 1100), "identifier", id="dense whole numbers"),
        pytest.param(["", " "] * 9, "ignored", id="only empty text"),
    ],
)
def test_infer_decides_by_values(values: object, kind: str) -> None:
    assert kind_of(list(values)) == kind  # type: ignore[call-overload]  # values of every kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("customer_id", "identifier"),
        ("customerId", "identifier"),
        ("CUSTOMER ID", "identifier"),
        ("paid", "numeric"),
        ("humid", "numeric"),
    ],
)
def test_a_name_that_ends_in_id_makes_many_values_an_identifier(name: str, kind: str) -> None:
    assert kind_of(np.random.default_rng(0).integers(0, 500, 400), name) == kind


def test_a_text_column_of_three_rows_is_no_identifier() -> None:
    assert kind_of(["a", "b", "c"]) == "categorical"


def test_scattered_whole_numbers_that_do_not_repeat_by_chance_stay_numeric() -> None:
    values = np.random.default_rng(0).choice(10**7, 100, replace=False)
    assert kind_of(values, "load_um") == "numeric"


@pytest.mark.parametrize("direction", [1, -1])
def test_a_counter_beside_a_timestamp_is_ignored_in_any_row_order(direction: int) -> None:
    frame = pd.DataFrame(
        {"t": pd.date_range("2024", periods=N, freq="h"), "cycles": np.arange(N) // 7 * direction}
    ).sample(frac=1, random_state=0)
    column = Schema.infer(frame)["cycles"]
    assert column.kind == "ignored"
    assert "'t'" in column.note


def test_overrides_stand_against_the_values() -> None:
    schema = Schema.infer(payments(), overrides={"quantity": "categorical", "elapsed_s": "numeric"})
    assert schema["quantity"].kind == "categorical"
    assert schema["elapsed_s"].kind == "numeric"


def test_what_a_person_wrote_of_a_column_stands() -> None:
    frame = pd.DataFrame({"at": ["03/04/2024", "05/06/2024"] * 20, "x": np.arange(40) % 7})
    drawn_up = Schema.infer(frame).to_json()
    edited = drawn_up.replace("month_first", "day_first").replace('"numbers"', '"shop code"')
    schema = Schema.infer(frame, said=Schema.from_json(edited).columns)
    assert schema["x"].note == "shop code"
    assert schema["at"].time_format == "day_first"
    assert schema.cast(frame)["at"][0] == pd.Timestamp("2024-04-03")


def test_numbers_since_1970_are_times_where_declared() -> None:
    frame = pd.DataFrame({"t": [1_700_000_000_000, 1_700_000_060_000] * 5})
    schema = Schema.infer(frame, overrides={"t": "timestamp"})
    assert schema["t"].time_format == "epoch_ms"
    assert schema.cast(frame)["t"].iloc[0] == pd.Timestamp("2023-11-14 22:13:20")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overrides": {"amuont": "numeric"}}, "did you mean 'amount'"),
        ({"overrides": {"amount": "number"}}, "Kinds: numeric"),
        ({"label": "labell"}, "did you mean 'label'"),
        ({"id_column": "transactionid"}, "did you mean 'transaction_id'"),
    ],
)
def test_infer_refuses_what_does_not_exist(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Schema.infer(payments(), **options)  # type: ignore[arg-type]  # wrong on purpose


def test_infer_refuses_two_columns_of_one_name() -> None:
    with pytest.raises(DataError, match="more than one column named 'a'"):
        Schema.infer(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_cast_gives_one_plain_type_per_kind() -> None:
    schema = Schema.infer(payments(), label="label")
    plain = schema.cast(payments())
    assert plain["amount"].dtype == np.float64
    assert plain["card_present"].dtype == np.float64
    assert plain["is_online"].isin([0.0, 1.0]).all()
    assert plain["time"].dtype == "datetime64[ns]"
    assert set(map(type, plain["merchant"])) == {str}
    assert list(plain.columns) == [column.name for column in schema.features]


ODD_STORAGES = {
    "int64": pd.Series([1, 2, 3]),
    "Int64": pd.Series([1, 2, 3], dtype="Int64"),
    "int8": pd.Series([1, 2, 3], dtype="int8"),
    "float32": pd.Series([1, 2, 3], dtype="float32"),
    "object": pd.Series([1, 2.0, decimal.Decimal(3)], dtype=object),
    "text": pd.Series(["1", " 2 ", "+3.0"]),
    "category": pd.Series([1, 2, 3], dtype="category"),
    "sparse": pd.Series(pd.arrays.SparseArray([1.0, 2.0, 3.0])),
    "arrow int": pd.Series([1, 2, 3], dtype="int64[pyarrow]"),
    "arrow text": pd.Series(["1", "2", "3"], dtype=pd.ArrowDtype(pa.large_string())),
    "arrow decimal": pd.Series(
        [decimal.Decimal(i) for i in (1, 2, 3)], dtype=pd.ArrowDtype(pa.decimal128(9, 2))
    ),
    "arrow dictionary": pd.Series(
        pa.array([1, 2, 3]).dictionary_encode(),
        dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.int64())),
    ),
}


@pytest.mark.parametrize("series", ODD_STORAGES.values(), ids=ODD_STORAGES.keys())
@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_storage_does_not_change_the_value(series: pd.Series, kind: str) -> None:
    schema = Schema(columns=(Column(name="x", kind=ColumnKind(kind)),))
    frame = pd.DataFrame({"x": series})
    schema.check(frame)
    plain = schema.cast(frame)["x"].tolist()
    expected = {"numeric": [1.0, 2.0, 3.0], "categorical": ["1", "2", "3"]}[kind]
    assert plain == expected


@pytest.mark.parametrize(
    "series",
    [
        pd.Series(pd.date_range("2024-03-01 10:00", periods=2, freq="h")),
        pd.Series(pd.date_range("2024-03-01 11:00", periods=2, freq="h", tz="Europe/Paris")),
        pd.Series(["2024-03-01 10:00", "2024-03-01T12:00:00+01:00"]),
        pd.Series([datetime(2024, 3, 1, 10), datetime(2024, 3, 1, 11)], dtype=object),
        pd.Series(pd.date_range("2024-03-01 10:00", periods=2, freq="h")).astype(
            "timestamp[us][pyarrow]"
        ),
        pd.Series(pd.date_range("2024-03-01 11:00", periods=2, freq="h", tz="Europe/Paris")).astype(
            pd.ArrowDtype(pa.timestamp("ms", tz="Europe/Paris"))
        ),
    ],
    ids=["naive", "zoned", "text", "objects", "arrow", "arrow zoned"],
)
def test_times_come_out_in_utc(series: pd.Series) -> None:
    schema = Schema(columns=(Column(name="t", kind=ColumnKind.TIMESTAMP),))
    times = schema.cast(pd.DataFrame({"t": series}))["t"]
    assert times.tolist() == [pd.Timestamp("2024-03-01 10:00"), pd.Timestamp("2024-03-01 11:00")]


def test_day_first_is_decided_by_all_dates_together() -> None:
    frame = pd.DataFrame({"t": ["03/04/2024", "31/01/2024"] * 10})
    times = Schema.infer(frame).cast(frame)["t"]
    assert times.iloc[0] == pd.Timestamp(2024, 4, 3)


BAD_CELLS = [
    ("amount", np.inf, "infinite"),
    ("amount", -np.inf, "infinite"),
    ("amount", "12,50", "not_a_number"),
    ("amount", "1e999", "infinite"),
    ("amount", 10**400, "infinite"),
    ("amount", "0x1f", "not_a_number"),
    ("amount", "1_000", "not_a_number"),
    ("time", "yesterday", "not_a_time"),
    ("time", "2024-13-41", "not_a_time"),
    ("time", "03/04/2024", "other_time_format"),
    ("time", "2024-01-01 10:00 CET", "time_zone_name"),
    ("is_online", "maybe", "not_a_boolean"),
]


@pytest.mark.parametrize(("name", "value", "code"), BAD_CELLS)
def test_bad_rows_names_row_column_and_value(name: str, value: object, code: str) -> None:
    schema = Schema.infer(payments(), label="label")
    frame = payments().astype({name: object})
    frame.index = frame.index + 1000
    frame.loc[1003, name] = value  # type: ignore[call-overload]  # a cell of any kind
    bad = schema.bad_rows(frame).dropna()
    assert list(bad.index) == [1003]
    found_code, message = bad.iloc[0]
    assert found_code == code
    assert repr(name) in message
    assert str(value)[:20] in message


def test_cast_refuses_bad_cells_unless_told_otherwise() -> None:
    schema = Schema.infer(payments(), label="label")
    frame = payments()
    frame.loc[3, "amount"] = np.inf
    with pytest.raises(DataError, match="row 4: column 'amount': 'inf' is infinite"):
        schema.cast(frame)
    assert np.isnan(schema.cast(frame, on_bad="missing").loc[3, "amount"])


@pytest.mark.parametrize("cell", [None, np.nan, pd.NA, pd.NaT, "", "  ", "NA", "null", "?"])
@pytest.mark.parametrize("name", ["amount", "time", "is_online", "card_present"])
def test_missing_cells_are_data(name: str, cell: object) -> None:
    schema = Schema.infer(payments(), label="label")
    frame = payments().astype({name: object})
    frame.loc[5, name] = cell  # type: ignore[call-overload]  # a cell of any kind
    assert schema.bad_rows(frame).isna().all()
    assert pd.isna(schema.cast(frame).loc[5, name])


def test_words_for_missing_are_categories_of_their_own() -> None:
    plain = Schema.infer(payments(), label="label").cast(payments())
    assert {"none", "NA"} <= set(plain["merchant"])


def test_a_number_beside_zero_and_one_is_kept_for_the_model() -> None:
    schema = Schema.infer(pd.DataFrame({"urgent": [0, 1] * 10}))
    frame = pd.DataFrame({"urgent": [0, 3]})
    assert schema.bad_rows(frame).isna().all()
    assert schema.cast(frame)["urgent"].tolist() == [0.0, 3.0]


def test_check_names_every_fault_at_once() -> None:
    schema = Schema.infer(payments(), label="label")
    frame = payments().rename(columns={"amount": "Amount"}).assign(time="soon", quantity="many")
    with pytest.raises(SchemaError) as caught:
        schema.check(frame)
    message = str(caught.value)
    assert "'amount' is missing (did you mean 'Amount'?)" in message
    assert "'time' is timestamp but holds text, e.g. 'soon'" in message
    assert "'quantity' is numeric" in message


RETYPED = [
    ("amount", pd.Timestamp("2024")),
    ("amount", "text"),
    ("time", 5.0),
    ("time", True),
    ("merchant", 1.5),
    ("merchant", pd.Timestamp("2024")),
    ("merchant", [1]),
    ("is_online", pd.Timestamp("2024")),
    ("is_online", "maybe"),
    ("card_present", "maybe"),
]


@pytest.mark.parametrize(("name", "value"), RETYPED)
def test_check_refuses_each_retyped_column(name: str, value: object) -> None:
    schema = Schema.infer(payments(), label="label")
    frame = payments()
    frame[name] = pd.Series([value] * N)
    with pytest.raises(SchemaError, match=name):
        schema.check(frame)


def test_check_returns_columns_it_does_not_know_in_any_order() -> None:
    schema = Schema.infer(payments(), label="label")
    shuffled = payments().assign(extra=1)[["extra", *payments().columns[::-1]]]
    assert schema.check(shuffled) == ("extra",)
    pd.testing.assert_frame_equal(schema.cast(shuffled), schema.cast(payments()))


def test_check_does_not_need_ignored_columns() -> None:
    schema = Schema.infer(payments(), label="label")
    schema.check(payments()[[column.name for column in schema.features]])


def test_one_bad_cell_is_not_a_retyped_column() -> None:
    schema = Schema.infer(payments(), label="label")
    schema.check(payments().astype({"amount": object}).head(1).assign(amount="oops"))


def test_categories_that_look_like_numbers_may_arrive_as_numbers() -> None:
    schema = Schema.infer(pd.DataFrame({"zone": ["1", "2", "A"] * 10}))
    frame = pd.DataFrame({"zone": [1, 2]})
    schema.check(frame)
    assert schema.cast(frame)["zone"].tolist() == ["1", "2"]


@pytest.mark.parametrize(
    ("as_text", "as_type"),
    [
        (["1.50", "L"], [1.5, 2.0]),
        (["7.0", "x"], [7, 8]),
        (["TRUE", "unknown"], [True, False]),
        (["1e3", "x"], [1000.0, 1.0]),
    ],
)
def test_a_category_does_not_depend_on_what_else_is_in_the_file(
    as_text: list[str], as_type: list[object]
) -> None:
    schema = Schema(columns=(Column(name="x", kind=ColumnKind.CATEGORICAL),))
    first, second = (schema.cast(pd.DataFrame({"x": x}))["x"].iloc[0] for x in (as_text, as_type))
    assert first == second


def test_codes_and_long_numbers_stay_as_they_are_written() -> None:
    schema = Schema(columns=(Column(name="x", kind=ColumnKind.CATEGORICAL),))
    codes = ["007", "12345678901234567", "12345678901234568", "1_000", "1.2.3"]
    assert schema.cast(pd.DataFrame({"x": codes}))["x"].tolist() == codes


def test_json_holds_everything() -> None:
    schema = Schema.infer(payments(), label="label", id_column="transaction_id")
    assert Schema.from_json(schema.to_json()) == schema


def edited(**changes: object) -> str:
    data = Schema.infer(payments(), label="label").to_dict()
    data["columns"][4] |= changes
    return json.dumps(data)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (edited(knid="x"), r"column 'amount' has the unknown key 'knid' \(did you mean 'kind'\?\)"),
        (edited(kind="numerc"), r"unknown kind 'numerc' \(did you mean 'numeric'\?\)"),
        (edited(name="time"), "'time' is listed twice"),
        ('{"columns": [], "labl": "x"}', r"unknown key 'labl' \(did you mean 'label'\?\)"),
        ('{"columns": [', "line 1"),
        ("[]", "object with 'columns'"),
        ('{"columns": [3]}', "column 0"),
        ("{}", "columns: Field required"),
    ],
    ids=["key", "kind", "twice", "top key", "syntax", "list", "number", "empty"],
)
def test_a_mistake_in_edited_json_is_named(text: str, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        Schema.from_json(text)


CELLS = st.one_of(
    st.none(),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.text(max_size=5),
    st.binary(max_size=3),
    st.dates(),
    st.datetimes(),
    st.decimals().filter(lambda number: not number.is_snan()),  # pandas cannot hold these
    st.timedeltas(),
    st.lists(st.integers(), max_size=2),
)


@given(st.lists(CELLS, max_size=8))
@settings(max_examples=60, deadline=None)
def test_no_cell_is_ever_a_crash_and_every_value_is_finite(values: list[object]) -> None:
    frame = pd.DataFrame({"x": pd.Series(values, dtype=object)})
    Schema.infer(frame)
    for kind in ("numeric", "boolean", "timestamp", "categorical"):
        schema = Schema(columns=(Column(name="x", kind=ColumnKind(kind)),))
        bad = schema.bad_rows(frame)
        good = frame[bad.isna().to_numpy()]
        plain = schema.cast(good)["x"]
        if kind == "numeric":
            assert not np.isinf(plain.to_numpy()).any()


def test_cells_that_are_written_otherwise_are_not_told_as_missing_columns():
    schema = Schema.infer(pd.DataFrame({"amount": [1.5, 2.5, 7.25] * 9, "shop": list("abc") * 9}))
    commas = pd.DataFrame({"amount": ["1,5", "2,5", "7,25"] * 9, "shop": list("abc") * 9})
    with pytest.raises(SchemaError) as caught:
        schema.check(commas)
    assert "'1,5' is not written like the column's numbers (1234.5)" in str(caught.value)
    assert "Write them as the rows of training are" in str(caught.value)
    assert "does not have" not in str(caught.value)
    with pytest.raises(SchemaError, match=r"'shop' is missing.*Add or rename.*do not hold"):
        schema.check(commas.drop(columns="shop"))


def test_infinite_cells_are_missing_where_a_person_says_so():
    for cells in (["1.5", "Infinity", "2.5", "-inf"], [1.5, np.inf, 2.5, -np.inf]):
        frame = pd.DataFrame({"rate": pd.Series(cells * 10)})
        with pytest.raises(DataError, match="--missing Infinity"):
            Schema.infer(frame).cast(frame)
        schema = Schema.infer(frame, missing={"": ["Infinity", "-inf"]})
        assert schema.cast(frame)["rate"].tolist()[:3:2] == [1.5, 2.5]
        assert schema.cast(frame)["rate"].isna().sum() == 20
