"""What is learned follows from nights and verdicts alone, with heads that are kept or without."""

from __future__ import annotations

import numpy as np
import pytest
from jobs.learning.made_nights import FIRST, imported, judged, morning, night

from vae_anomaly.jobs.learning.heads import FittedHeads
from vae_anomaly.jobs.learning.heard import heard
from vae_anomaly.jobs.learning.learn import learned_stage
from vae_anomaly.jobs.learning.merged import merged
from vae_anomaly.verdicts.head import ScoreHead
from vae_anomaly.verdicts.kept import read_kept_items, write_kept_items
from vae_anomaly.verdicts.saved import write_stage


@pytest.fixture(scope="module")
def nights():
    return [night(FIRST + k) for k in range(5)]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VAE_ANOMALY_CACHE", str(tmp_path / "cache"))


def learn(nights, folder, **options) -> str:
    said = heard(nights, [imported(judged(n), morning(n.facts.night)) for n in nights])
    return write_stage(learned_stage(nights, said, ["terminal"], **options), folder)


def test_a_night_more_costs_one_fit_and_gives_what_all_from_the_start_gives(
    nights, tmp_path, monkeypatch
):
    fits = []
    fit = ScoreHead.fit
    monkeypatch.setattr(ScoreHead, "fit", lambda *given: fits.append(1) or fit(*given))
    learn(nights[:4], tmp_path / "before")
    fits.clear()
    remembered = learn(nights, tmp_path / "remembered")
    assert len(fits) == 1
    assert remembered == learn(nights, tmp_path / "anew", remember=False)


def test_heads_that_are_damaged_or_lost_are_fitted_again(nights, tmp_path):
    first = learn(nights, tmp_path / "first")
    files = sorted(FittedHeads().folder.iterdir())
    files[0].write_bytes(files[0].read_bytes()[:-1])
    files[1].unlink()
    assert learn(nights, tmp_path / "again") == first


def test_of_a_night_no_more_is_read_than_is_needed(nights, tmp_path):
    big = night(FIRST + 5, n=900)
    write_kept_items(big, tmp_path / "learn.parquet")
    ids = big.items.ids[:3]
    read = read_kept_items(tmp_path / "learn.parquet", {*ids, "elsewhere"})
    whole = read_kept_items(tmp_path / "learn.parquet")
    assert len(read) <= 303
    assert read.night(ids).digest() == whole.night(ids).digest()


def test_two_runs_of_a_night_are_one_and_another_detectors_run_replaces_them(nights):
    first, second = night(FIRST), night(FIRST, version="cards/2")
    half = _take(first, range(300))
    rest = _take(second, range(200, 400))
    whole = merged([half, rest])
    assert whole.items.ids == first.items.ids
    assert whole.facts.version == "cards/2"
    np.testing.assert_array_equal(whole.surprise, first.surprise)
    other = night(FIRST, model="another")
    assert merged([half, other]) is other


def test_runs_of_other_items_add_up(nights):
    whole = merged([_take(nights[0], range(100)), _take(nights[0], range(100, 400))])
    assert whole.facts.n_items == 400


def _take(kept, rows):
    from dataclasses import replace

    rows = list(rows)
    names = ("likely", "high", "drawn", "draw", "score", "p_value", "p_combined", "surprise")
    return replace(
        kept, facts=replace(kept.facts, n_items=len(rows)), items=kept.items.take(rows),
        **{name: getattr(kept, name)[rows] for name in names},
    )  # fmt: skip
