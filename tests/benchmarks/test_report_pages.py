"""Pages of large nights stay small, and say what they leave out."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LEFT_OUT = {"images": "", "all-flagged": "99,500 more flagged rows with lower scores"}


@pytest.mark.parametrize("night", LEFT_OUT)
def test_the_page_of_a_large_night_is_below_two_megabytes(night, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    page, _ = import_module("report_pages").made_page(night, tmp_path)
    assert page.stat().st_size < 2e6
    assert LEFT_OUT[night] in page.read_text(encoding="utf-8")
