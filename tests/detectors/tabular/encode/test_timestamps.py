"""Of a timestamp a model sees where in the day and the week it lies, as far as that comes again."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.detectors.tabular.encode.table import TableEncoder
from vae_anomaly.detectors.tabular.encode.timestamps import TimestampColumn

N = 300
RNG = np.random.default_rng(0)
AT = pd.Series(pd.Timestamp("2024-03-01") + pd.to_timedelta(RNG.integers(0, 4e6, N), unit="s"))


def encoder_of(frame: pd.DataFrame) -> tuple[TableEncoder, pd.DataFrame]:
    schema = Schema.infer(frame)
    cast = schema.cast(frame)
    return TableEncoder.fit(cast, schema.features), cast


def names(encoder: TableEncoder) -> list[str]:
    return [feature.name for feature in encoder.features]


@pytest.mark.parametrize(
    ("parts", "kept"),
    [(None, {"hour", "weekday"}), (("hour",), {"hour"}), (("weekday",), {"weekday"}), ((), set())],
)
def test_a_part_is_read_without_the_others(parts, kept):
    column = TimestampColumn.fit("at", AT, parts)
    assert {f.name.split(" of ")[-1].rstrip(")") for f in column.features} == kept
    encoded = column.encode(AT).numbers
    assert encoded.shape == (N, 2 * len(kept))
    decoded = pd.Series(column.decode(encoded, np.zeros(N, dtype=np.int64)))
    if "weekday" in kept:
        assert decoded.dt.day_of_week.tolist() == AT.dt.day_of_week.tolist()
    if "hour" in kept:
        apart = (decoded - AT).dt.total_seconds() % 86_400
        assert (np.minimum(apart, 86_400 - apart) <= 1).all()


def test_an_open_ended_date_differs_from_an_empty_one():
    until = pd.Series(["2025-01-01", "9999-12-31", None] * 100)
    encoder, cast = encoder_of(pd.DataFrame({"until": until, "x": RNG.normal(size=N)}))
    assert names(encoder)[:2] == ["until (missing)", "until (open-ended)"]
    flags = encoder.transform(cast).numbers[:3, :2] > 0
    assert flags.tolist() == [[False, False], [False, True], [True, False]]
    again = TableEncoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    assert np.array_equal(again.transform(cast).numbers, encoder.transform(cast).numbers)


def test_a_column_that_is_mostly_open_ended_is_encoded_with_finite_numbers():
    for until in (["9999-12-31"] * 299 + ["2025-01-01"], ["9999-12-31", None] * 150):
        frame = pd.DataFrame({"at": AT, "until": until, "x": RNG.normal(size=N)})
        encoder, cast = encoder_of(frame)
        assert np.isfinite(encoder.transform(cast).numbers).all()
        assert np.abs(encoder.transform(cast).numbers).max() < 1e5
        refitted = encoder.refit(cast.iloc[:50])
        assert len(refitted.features) == len(encoder.features)


def test_an_open_end_that_training_never_had_changes_nothing():
    encoder, cast = encoder_of(pd.DataFrame({"at": AT, "x": RNG.normal(size=N)}))
    far = cast.assign(at=pd.Timestamp("2262-01-01"))
    gone = cast.assign(at=pd.NaT)
    assert np.array_equal(encoder.transform(far).numbers, encoder.transform(gone).numbers)


def test_the_days_from_one_common_date_are_a_clock_and_no_feature():
    frame = pd.DataFrame({"at": AT, "load": "2024-06-01", "x": RNG.normal(size=N)})
    encoder, _ = encoder_of(frame)
    assert not [name for name in names(encoder) if "days" in name]
    assert "load" in encoder.dropped
    born = pd.Timestamp("1950-01-01") + pd.to_timedelta(RNG.integers(0, 20_000, N), unit="D")
    encoder, _ = encoder_of(frame.assign(load=born))
    assert [name for name in names(encoder) if "load" in name] == ["load - at (days)"]


def test_models_saved_before_parts_read_all_of_a_time():
    column = TimestampColumn.fit("at", AT)
    former = {k: v for k, v in column.to_dict().items() if not k.startswith(("open", "week"))}
    former["weekdays"] = column.weekdays
    assert TimestampColumn.from_dict(former) == column
