"""What a training makes of a table before it fits: kinds, generated rows, edited schemas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.errors import ConfigError, SchemaError
from vae_anomaly.jobs import TableColumns, infer_schema_of, read_schema
from vae_anomaly.jobs.train_table import real_rows, schema_of_training

FRAME = pd.DataFrame(
    {"zip": [10115, 20095] * 30, "amount": [1.5, 2.5, 4.0] * 20, "shop": ["a", "b"] * 30}
)


def test_an_edited_schema_stands_with_its_notes_unless_a_kind_says_otherwise(tmp_path):
    edited = Schema.infer(FRAME, overrides={"zip": "categorical"}).to_json()
    edited = edited.replace('"declared"', '"a code, not an amount"')
    (tmp_path / "schema.json").write_text(edited)
    schema = read_schema(tmp_path / "schema.json")
    found = infer_schema_of(FRAME, TableColumns(schema, {"shop": "ignored"}))
    assert {column.name: column.kind.value for column in found.columns} == {
        "zip": "categorical", "amount": "numeric", "shop": "ignored",
    }  # fmt: skip
    assert found["zip"].note == "a code, not an amount"


def test_a_schema_of_another_table_or_no_schema_is_refused(tmp_path):
    with pytest.raises(SchemaError, match="lists 'shop', which the table does not have"):
        infer_schema_of(FRAME.drop(columns="shop"), TableColumns(Schema.infer(FRAME)))
    with pytest.raises(ConfigError, match="did you mean 'shop'"):
        infer_schema_of(FRAME, TableColumns(kinds={"shp": "ignored"}))
    for name, content in (("absent.json", None), ("bad.json", b"\xff")):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(SchemaError, match=f"{name} cannot be read.*vae-anomaly data schema"):
            read_schema(tmp_path / name)


def test_generated_rows_do_not_train_unless_the_column_is_data():
    mixed = FRAME.assign(synthetic=[True, False] * 30)
    real, notes = real_rows(mixed, TableColumns())
    assert (len(real), list(real)) == (30, list(FRAME))
    assert "30 of 60 rows are marked as generated" in notes[0]
    for schema, kinds in ((None, {"synthetic": "boolean"}), (Schema.infer(mixed), {})):
        assert real_rows(mixed, TableColumns(schema, kinds)) == (mixed, ())


def test_groups_and_entities_are_no_features_unless_declared():
    def kinds(columns):
        found = schema_of_training(FRAME, columns, ["zip"]).columns
        return {column.name: column.kind.value for column in found}

    by_shop = TableColumns(groups="shop")
    taken = {"zip": "identifier", "amount": "numeric", "shop": "identifier"}
    assert kinds(by_shop) == taken
    assert kinds(replace(by_shop, kinds={"zip": "categorical"})) == taken | {"zip": "categorical"}


def test_what_a_row_is_to_its_past_is_a_number_and_no_clock():
    even = np.linspace(0.0, 1.0, 400)
    frame = pd.DataFrame({"card": [f"k{i % 40}" for i in range(400)], "card: day / usual": even})
    alone = schema_of_training(frame, TableColumns(), ["card"])
    known = schema_of_training(frame, TableColumns(), ["card"], None, ["card: day / usual"])
    assert alone["card: day / usual"].note != known["card: day / usual"].note
    assert (known["card: day / usual"].kind, known["card: day / usual"].role) == ("numeric", None)
    assert "past" in known["card: day / usual"].note


def test_what_tells_the_person_is_left_out_whether_the_key_is_an_entity_or_not():
    n = np.arange(1200)
    frame = pd.DataFrame(
        {"card_no": [f"k-{i % 60:05d}" for i in n], "town": [f"t{i % 60}" for i in n], "x": n % 7}
    )
    for entities in ([], ["card_no"]):
        schema = schema_of_training(frame, TableColumns(), entities)
        assert (schema["card_no"].kind, schema["town"].kind) == ("identifier", "ignored")
