"""Histories of several entities, and their state."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from vae_anomaly.data.tables.entity_features import EntityHistory
from vae_anomaly.data.tables.entity_histories import EntityColumns, EntityHistories, time_text
from vae_anomaly.errors import ConfigError, DataError, ModelRefusedError, SchemaError

COLUMNS = EntityColumns(("card", "shop"), time="at", amount="euro")


def rows(n: int = 300, days: int = 20, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    at = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, days * 24, n), unit="h")
    frame = pd.DataFrame(
        {
            "card": rng.choice(["a", "b", "ü"], n),
            "shop": rng.integers(0, 4, n),
            "at": at,
            "euro": rng.gamma(2, 30, n),
        }
    )
    return frame.sort_values("at", ignore_index=True)


def test_each_entity_has_the_features_that_it_has_alone():
    frame = rows()
    both = EntityHistories(COLUMNS).process(frame)
    for entity in ("card", "shop"):
        alone = EntityHistory(entity, "at", "euro").process(frame)
        pd.testing.assert_frame_equal(both[list(alone.columns)], alone)


def test_a_state_comes_back_whole_and_the_same_rows_give_the_same_bytes(tmp_path):
    frame = rows()
    histories, again = EntityHistories(COLUMNS), EntityHistories(COLUMNS)
    histories.process(frame[:200])
    again.process(frame[:200])
    first = histories.save(tmp_path / "first.npz")
    assert first.read_bytes() == again.save(tmp_path / "second.npz").read_bytes()
    loaded = EntityHistories.load(first)
    assert (loaded.columns, loaded.until) == (COLUMNS, frame["at"][199].value)
    assert loaded.digest() == histories.digest()
    pd.testing.assert_frame_equal(loaded.process(frame[200:]), histories.process(frame[200:]))


def test_the_digest_tells_one_past_from_another():
    one, other = EntityHistories(COLUMNS), EntityHistories(COLUMNS)
    assert one.digest() == other.digest()
    one.process(rows())
    other.process(rows().assign(euro=1.0))
    assert one.digest() != other.digest()


def test_text_numbers_and_times_are_read_as_everywhere_else():
    frame = rows(50, days=31)
    text = frame.assign(at=frame["at"].dt.strftime("%d.%m.%Y %H:%M"), shop=frame["shop"] * 1.0)
    text["euro"] = text["euro"].astype(str)
    columns = COLUMNS.for_table(text)
    assert columns.time_format == "day_first"
    found = EntityHistories(columns).process(text)
    pd.testing.assert_frame_equal(found, EntityHistories(COLUMNS).process(frame))


def test_cells_that_cannot_be_read_leave_no_trace():
    frame = rows(50).astype({"euro": object, "at": object})
    frame.loc[10, "euro"], frame.loc[11, "at"] = "much", "soon"
    histories, without = EntityHistories(COLUMNS), EntityHistories(COLUMNS)
    features = histories.process(frame)
    assert features.loc[[10, 11]].isna().all(axis=None)
    without.process(frame.drop(index=[10, 11]))
    assert histories.digest() == without.digest()


def test_what_cannot_be_used_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match="Name each column once"):
        EntityColumns(("card",), time="card", amount="euro")
    with pytest.raises(ConfigError, match="entity none"):
        EntityColumns((), time="at", amount="euro")
    with pytest.raises(SchemaError, match="'shop', 'euro'"):
        EntityHistories(COLUMNS).extend(rows().drop(columns=["shop", "euro"]))
    with pytest.raises(DataError, match="'card: pace'"):
        EntityHistories(COLUMNS).extend(rows().assign(**{"card: pace": 1.0}))
    cut = EntityHistories(COLUMNS).save(tmp_path / "cut.npz")
    cut.write_bytes(cut.read_bytes()[:-40])
    with pytest.raises(ModelRefusedError, match=r"cut\.npz"):
        EntityHistories.load(cut)
    with pytest.raises(ModelRefusedError):
        EntityHistories.load(tmp_path / "nowhere.npz")


def test_before_the_first_row_there_is_no_time():
    histories = EntityHistories(COLUMNS)
    assert histories.until is None
    assert time_text(histories.until) == "the beginning"
    assert histories.process(rows().iloc[:0]).shape == (0, 12)
    assert histories.span(rows().iloc[:0]) is None


def test_a_state_in_which_a_byte_is_another_is_refused_or_read(tmp_path):
    histories = EntityHistories(COLUMNS)
    histories.process(rows())
    content = histories.save(tmp_path / "state.npz").read_bytes()
    refused = 0
    for place in range(0, len(content), 67):
        spoilt = content[:place] + bytes([content[place] ^ 0x91]) + content[place + 1 :]
        (tmp_path / "state.npz").write_bytes(spoilt)
        try:
            EntityHistories.load(tmp_path / "state.npz")
        except ModelRefusedError:
            refused += 1
    assert refused > 5
