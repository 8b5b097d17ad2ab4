"""The demo replaces its own folder and nobody else's, and says what it found."""

from __future__ import annotations

import pandas as pd
import pytest

from vae_anomaly.errors import ConfigError
from vae_anomaly.jobs import demo
from vae_anomaly.jobs.demo import run_demo


def test_a_folder_with_files_of_others_is_not_touched(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ConfigError, match="not an earlier demo's"):
        run_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "demo").write_text("mine")
    with pytest.raises(ConfigError, match="is a file"):
        run_demo(tmp_path / "demo")
    assert (tmp_path / "demo").read_text() == "mine"


def test_the_strangest_transaction_gives_the_reasons_it_has():
    flags = pd.DataFrame(
        {"id": ["a", "b"], "score": [2.1, 3.8], "reason_1": ["odd hour", "amount 7,892"],
         "reason_2": [None, "seen once"], "reason_3": [None, None]}
    )  # fmt: skip
    assert demo._top_flag(flags) == {"id": "b", "score": 3.8, "reasons": "amount 7,892; seen once"}


def test_pages_are_drawn_of_both_nights_and_both_models(tmp_path, monkeypatch):
    drawn = []

    def draw(target, out=None, *_, **__):
        drawn.append(str(target))
        return out or tmp_path / target / "report.html", None

    monkeypatch.setattr(demo, "write_night", draw)
    monkeypatch.setattr(demo, "write_model_page", draw)
    pages = demo._pages(tmp_path, "sqlite://", lambda *_: None)
    nights = [str(tmp_path / "flags" / what) for what in ("images", "transactions")]
    assert drawn == [nights[0], demo.SURFACES, nights[1], demo.CARDS]
    assert len(set(pages.values())) == len(pages) == 4
