"""A first line that is a row is noticed; names that are numbers for a reason are not."""

from __future__ import annotations

import pytest

from vae_anomaly.data.tables.files import doubtful_header

ROWS = {
    "numbers": "1001,12.50,shop\n1002,13.10,bar\n1003,9,shop\n",
    "dates": "2024-03-01;a\n2024-03-02;b\n",
    "text": "shop,a\nbar,b\nshop,b\nbar,a\n",
    "some": "x7,alpha,12.5\nx8,beta,7\nx9,gamma,1\n",
}
HEADERS = {
    "words": "id,amount\n1,2\n3,4\n",
    "years": "country,2021,2022\nA,1,2\nB,3,4\n",
    "pixels": "0,1,2\n4,5,6\n7,8,9\n",
    "text below": "kind,1\na,x\nb,y\n",
    "no rows": "1,2.5\n",
    "a word that is a cell too": "kind,shop,x\na,shop,1\nb,bar,2\n",
}


@pytest.mark.parametrize("text", ROWS.values(), ids=ROWS)
def test_a_first_line_that_is_a_row_is_named_with_the_remedy(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text)
    told = doubtful_header(path) or ""
    assert f"the first line of {path} looks like a row" in told
    assert "write the names in a line above it" in told


@pytest.mark.parametrize("text", HEADERS.values(), ids=HEADERS)
def test_a_header_is_left_in_peace(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text)
    assert doubtful_header(path) is None
    assert doubtful_header(tmp_path / "absent.parquet") is None
