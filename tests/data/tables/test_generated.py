"""Rows that a model generated carry a mark, and are known by it."""

from __future__ import annotations

import pandas as pd
import pytest

from vae_anomaly.data.tables.generated import is_marked, mark_generated, synthetic_rows
from vae_anomaly.errors import ConfigError

ROWS = pd.DataFrame({"amount": [1.0, 2.0, 3.0]})


def test_generated_rows_are_known_among_real_ones_after_a_csv(tmp_path):
    mixed = pd.concat([ROWS, mark_generated(ROWS)], ignore_index=True)
    mixed.to_csv(tmp_path / "t.csv", index=False)
    for frame in (mixed, pd.read_csv(tmp_path / "t.csv")):
        assert synthetic_rows(frame).tolist() == [False] * 3 + [True] * 3


@pytest.mark.parametrize(
    ("cells", "marked"),
    [(["yes", "no", ""], True), ([1, 0, 0], True), ([None] * 3, False), (["silk", "", ""], False),
     ([0.0, 1.0, 2.0], False)],
    ids=["words", "numbers", "empty", "cloth", "amounts"],
)  # fmt: skip
def test_a_column_is_the_mark_only_where_it_holds_truth_values(cells, marked):
    assert is_marked(ROWS.assign(synthetic=cells)) is marked
    assert synthetic_rows(ROWS.assign(synthetic=cells)).tolist() == [marked, False, False]


def test_a_column_that_a_model_reads_is_data_and_no_mark():
    frame = ROWS.assign(synthetic=[True, False, True])
    assert not synthetic_rows(frame, ["synthetic"]).any()
    with pytest.raises(ConfigError, match="reads a column 'synthetic'"):
        mark_generated(frame)
