"""What the cells of a CSV are."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vae_anomaly.data.tables.read import fingerprint, read_table

WORDS = st.text(st.sampled_from('aé,;|\t"\n 7.'), max_size=6).map(lambda text: f"x{text}x")
WHOLE = st.integers(-(2**63), 2**63 - 1)
ROWS = st.lists(st.tuples(WHOLE, st.floats(allow_nan=False, allow_infinity=False), WORDS,
                          st.booleans()), min_size=2, max_size=12)  # fmt: skip


@settings(max_examples=25)
@given(ROWS, st.sampled_from(",;|\t"))
def test_a_table_comes_back_from_csv_and_parquet_as_it_was(tmp_path_factory, rows, delimiter):
    frame = pd.DataFrame(rows, columns=["n", "x, in euro", "word", "sent"])
    folder = tmp_path_factory.mktemp("trip")
    frame.to_csv(folder / "t.csv", index=False, sep=delimiter)
    frame.to_parquet(folder / "t.parquet")
    csv, parquet = read_table(folder / "t.csv"), read_table(folder / "t.parquet")
    pd.testing.assert_frame_equal(csv, frame, check_exact=True)
    pd.testing.assert_frame_equal(csv, parquet, check_exact=True)
    assert fingerprint(csv) == fingerprint(parquet)


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (["1", "+2", " 3 "], [1, 2, 3]),
        (["1", "2.5", ".5"], [1.0, 2.5, 0.5]),
        (["TRUE", "false", "True"], [True, False, True]),
        (["1", "007", "3"], ["1", "007", "3"]),
        (["1,5", "2,5", "3"], ["1,5", "2,5", "3"]),
        (["1790000000000000001", "1790000000000000002", "3"],
         [1790000000000000001, 1790000000000000002, 3]),
        (["17900000000000000001", "17900000000000000002", "3"],
         ["17900000000000000001", "17900000000000000002", "3"]),
    ],
    ids=["whole", "numbers", "truth", "codes", "comma", "19 digits", "20 digits"],
)  # fmt: skip
def test_a_column_has_the_type_that_all_its_cells_have(tmp_path, cells, wanted):
    (tmp_path / "t.csv").write_text("x\n" + "\n".join(f'"{cell}"' for cell in cells) + "\n")
    column = read_table(tmp_path / "t.csv")["x"]
    assert column.tolist() == wanted
    assert [type(cell) for cell in column.tolist()] == [type(cell) for cell in wanted]


@pytest.mark.parametrize(
    ("cells", "beside", "is_text"),
    [
        (["1.234", "987", "12.500"], ["a", "b", "c"], True),
        (["1.234", "2.987", "12.500"], ["1,5", "2,25", "3,125"], False),
        (["1.234", "2.987", "12.500"], ["1,5", "2,25", "3,1"], True),
        (["1.234", "2.987", "12.500"], ["a", "b", "c"], False),
        (["1.234", "987", "12.5"], ["a", "b", "c"], False),
        (["1.234", "987", "0.125"], ["a", "b", "c"], False),
        (["1.234", "1987", "12.500"], ["a", "b", "c"], False),
    ],
)
def test_points_that_may_part_thousands_stay_as_they_are_written(tmp_path, cells, beside, is_text):
    rows = [f"{one};{other}" for one, other in zip(cells, beside, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["amount;other", *rows]))
    frame = read_table(tmp_path / "t.csv")
    assert pd.api.types.is_numeric_dtype(frame["amount"]) is not is_text
