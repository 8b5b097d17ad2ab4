"""What a training says of columns that look like the label."""

from __future__ import annotations

import numpy as np
import pandas as pd

from vae_anomaly.jobs import TableColumns
from vae_anomaly.jobs.label_warnings import label_warnings
from vae_anomaly.jobs.train_table import schema_of_training

FRAME = pd.DataFrame(
    {"amount": np.arange(400) % 37 + 0.5, "Machine failure": np.arange(400) % 40 // 39}
)
NORMAL, FAILED = FRAME[FRAME["Machine failure"] == 0], FRAME[FRAME["Machine failure"] == 1]


def warnings_of(frame: pd.DataFrame, columns: TableColumns) -> tuple[str, ...]:
    return label_warnings(schema_of_training(frame, columns), frame, columns)


def test_a_label_that_nobody_named_is_left_out_and_its_anomalies_are_counted():
    (said,) = warnings_of(FRAME, TableColumns())
    assert "'Machine failure' looks like the label" in said
    assert "The 10 rows that it calls anomalous (2.50%) were trained on as normal" in said
    assert "--labels 'Machine failure'" in said
    assert "--kind 'Machine failure=boolean'" in said


def test_nothing_is_said_where_the_label_is_named_or_the_kind_is_stated():
    assert warnings_of(NORMAL, TableColumns(label="Machine failure")) == ()
    assert warnings_of(FRAME, TableColumns(kinds={"Machine failure": "boolean"})) == ()


def test_a_name_without_proof_is_told_and_the_column_stays():
    frame = FRAME.rename(columns={"Machine failure": "pump_error"})
    (said,) = warnings_of(frame, TableColumns())
    assert "'pump_error' may be a label" in said
    assert "the model reads it" in said


def test_a_copy_of_the_named_label_is_left_out_though_normal_rows_do_not_show_it():
    normal, failed = (part.assign(mode=word) for part, word in ((NORMAL, "a"), (FAILED, "b")))
    columns = TableColumns(label="Machine failure")
    alone = schema_of_training(normal, columns)
    assert "mode" in [column.name for column in alone.features]
    schema = schema_of_training(normal, columns, anomalous=failed)
    assert (schema["mode"].kind, schema["mode"].role) == ("ignored", "label")
    (said,) = label_warnings(schema, normal, columns)
    assert "repeats the label in 100.0% of rows: the model does not read it" in said
    kept = TableColumns(label="Machine failure", kinds={"mode": "categorical"})
    assert schema_of_training(normal, kept, anomalous=failed)["mode"].kind == "categorical"


def test_many_columns_with_the_answer_are_one_warning_and_the_surest_is_named():
    words = FRAME["Machine failure"].map({0: None, 1: "wear"})
    frame = FRAME.assign(failure_type=words, heat_failure=0)
    (said,) = warnings_of(frame, TableColumns())
    assert "failure_type" in said
    assert "heat_failure" in said
    assert "The 10 rows that 'Machine failure' calls anomalous (2.50%)" in said
    assert "--labels 'Machine failure'" in said


def test_a_likely_label_beside_the_named_one_is_to_be_left_out_not_named():
    frame = NORMAL.assign(difficulty=np.arange(len(NORMAL)) % 21)
    (said,) = warnings_of(frame, TableColumns(label="Machine failure"))
    assert said.endswith("If it is one, give --ignore difficulty")
