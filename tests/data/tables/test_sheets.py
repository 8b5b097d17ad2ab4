from __future__ import annotations

import pandas as pd
import pytest

from vae_anomaly.data.tables.sheets import as_meant, harmless, write_sheet

FORMULAS = ["=HYPERLINK(0)", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "-"]
OTHERS = ["a=b", "", "'=1", "tea", "-4", "+4.5e-3", ".5"]


@pytest.mark.parametrize("cell", FORMULAS, ids=repr)
def test_a_formula_becomes_text_and_is_read_back_as_it_was(cell):
    assert harmless(cell) == f"'{cell}"
    assert as_meant(harmless(cell)) == cell


@pytest.mark.parametrize("cell", [*OTHERS[:2], *OTHERS[3:], -4, 1.5, None], ids=repr)
def test_all_else_stays(cell):
    assert harmless(cell) == cell
    assert as_meant(cell) == cell


def test_a_sheet_has_neither_cells_nor_names_that_run_and_its_numbers_are_numbers(tmp_path):
    frame = pd.DataFrame({"=id": ["@a", "b"], "score": [-1.5, 2.0], "kind": ["-", "=1"]})
    write_sheet(frame.astype({"kind": "category"}), tmp_path / "sheet.csv")
    lines = (tmp_path / "sheet.csv").read_text().splitlines()
    assert lines == ["'=id,score,kind", "'@a,-1.5,'-", "b,2.0,'=1"]
