from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vae_anomaly.data.tables.kinds import Column
from vae_anomaly.detectors.tabular.encode.columns import MATCH
from vae_anomaly.detectors.tabular.encode.table import TableEncoder
from vae_anomaly.detectors.tabular.encode.views import (
    SOFT_LIMIT,
    VIEWS,
    AdaptiveView,
    StandardView,
)
from vae_anomaly.errors import DataError, NotEnoughDataError


def columns(**kinds: str) -> list[Column]:
    return [Column(name=name, kind=kind) for name, kind in kinds.items()]


def encode(frame: pd.DataFrame, **kinds: str) -> tuple[TableEncoder, pd.DataFrame]:
    encoder = TableEncoder.fit(frame, columns(**kinds))
    names = [feature.name for feature in encoder.features]
    return encoder, pd.DataFrame(encoder.transform(frame).numbers, columns=names)


def test_two_different_categories_lie_one_apart():
    frame = pd.DataFrame({"shop": ["a"] * 6 + ["b"] * 4})
    _, encoded = encode(frame, shop="categorical")
    one_hot = encoded.drop(columns="shop (surprisal)").to_numpy()
    assert np.linalg.norm(one_hot[0] - one_hot[-1]) == pytest.approx(1.0)


def test_only_the_most_frequent_categories_get_a_feature_of_their_own():
    values = [f"v{i}" for i in range(40) for _ in range(40 - i)]
    _, encoded = encode(pd.DataFrame({"c": values}), c="categorical")
    assert [c for c in encoded if "=v" in c] == [f"c=v{i}" for i in range(32)]
    assert encoded["c=other"].gt(0).sum() == sum(40 - i for i in range(32, 40))


def test_a_category_never_seen_is_marked_and_surprises_most():
    encoder, _ = encode(pd.DataFrame({"c": ["a"] * 9 + ["b"]}), c="categorical")
    table = encoder.transform(pd.DataFrame({"c": ["a", "zebra"]}))
    names = [feature.name for feature in encoder.features]
    assert table.unseen[:, 0].tolist() == [False, True]
    assert table.numbers[1, names.index("c=unseen")] == pytest.approx(MATCH)
    assert table.numbers[1, names.index("c (surprisal)")] == pytest.approx(np.log(11))
    assert table.codes[1, 0] == encoder.code_sizes[0] - 1


def test_a_missing_category_is_a_category():
    encoder, _ = encode(pd.DataFrame({"c": ["a", None, "a", None]}), c="categorical")
    table = encoder.transform(pd.DataFrame({"c": [None]}))
    assert table.missing[0, 0]
    assert not table.unseen[0, 0]


@pytest.mark.parametrize(("gaps", "told"), [(0, False), (1, False), (5, True)])
def test_gaps_have_an_indicator_only_where_training_had_them(gaps: int, told: bool):
    numbers = np.arange(200.0)
    numbers[:gaps] = np.nan
    encoder, encoded = encode(pd.DataFrame({"x": numbers}), x="numeric")
    assert ("x (missing)" in encoded) is told
    table = encoder.transform(pd.DataFrame({"x": [np.nan]}))
    assert table.missing[0, 0]
    assert table.numbers[0, 0] in numbers


def test_hours_and_weekdays_are_angles_and_the_date_is_no_feature():
    times = pd.date_range("2026-01-05", periods=14, freq="36h")
    encoder, encoded = encode(pd.DataFrame({"t": times}), t="timestamp")
    later = pd.DataFrame({"t": times + pd.Timedelta(days=7 * 500)})
    np.testing.assert_allclose(encoder.transform(later).numbers, encoded.to_numpy(), atol=1e-12)
    np.testing.assert_allclose(np.square(encoded.to_numpy()).sum(axis=1), 2.0)


def test_two_timestamps_give_their_difference_in_days():
    start = pd.Series(pd.date_range("2026-01-01", periods=10))
    frame = pd.DataFrame({"bound": start, "claimed": start + pd.Timedelta(days=3)})
    encoder, encoded = encode(frame, bound="timestamp", claimed="timestamp")
    assert encoded["claimed - bound (days)"].tolist() == [3.0] * 10
    assert encoder.ownership()[-1].tolist() == [0.5, 0.5]


def test_each_feature_belongs_wholly_to_its_columns():
    frame = pd.DataFrame({"x": [1.0, 2.0, 4.0], "c": ["a", "b", None], "b": [0.0, 1.0, 1.0]})
    encoder, _ = encode(frame, x="numeric", c="categorical", b="boolean")
    np.testing.assert_allclose(encoder.ownership().sum(axis=1), 1.0)


def test_a_column_that_names_rows_is_left_out_and_said(caplog):
    frame = pd.DataFrame({"id": [f"k{i}" for i in range(50)], "x": np.arange(50.0)})
    encoder, _ = encode(frame, id="categorical", x="numeric")
    assert encoder.names == ("x",)
    assert "identifier" in encoder.dropped["id"]
    assert "'id'" in caplog.text


def test_a_table_without_content_is_refused():
    with pytest.raises(DataError, match="None of the 1 columns"):
        TableEncoder.fit(pd.DataFrame({"x": [np.nan, np.nan]}), columns(x="numeric"))
    with pytest.raises(DataError, match=r"Every column is constant in all 3 training rows \('x'\)"):
        TableEncoder.fit(pd.DataFrame({"x": [1.0, 1.0, 1.0]}), columns(x="numeric"))
    with pytest.raises(NotEnoughDataError, match="0 rows"):
        TableEncoder.fit(pd.DataFrame({"x": []}), columns(x="numeric"))


def test_refit_keeps_the_layout_and_forgets_the_other_rows():
    frame = pd.DataFrame({"c": ["a"] * 5 + ["b"] * 5, "x": np.arange(10.0)})
    encoder = TableEncoder.fit(frame, columns(c="categorical", x="numeric"))
    own = encoder.refit(frame.iloc[:5])
    assert [f.name for f in own.features] == [f.name for f in encoder.features]
    assert own.transform(frame).unseen[:, 0].tolist() == [False] * 5 + [True] * 5


def test_an_encoder_survives_json(rng):
    import json

    frame = pd.DataFrame(
        {
            "x": rng.normal(size=60),
            "c": rng.choice(["a", "b", "c"], 60),
            "t": pd.date_range("2026-01-01", periods=60, freq="7h"),
            "u": pd.date_range("2026-02-01", periods=60, freq="5h"),
        }
    )
    encoder, encoded = encode(frame, x="numeric", c="categorical", t="timestamp", u="timestamp")
    again = TableEncoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    np.testing.assert_array_equal(again.transform(frame).numbers, encoded.to_numpy())


def test_decoding_codes_and_numbers_gives_the_cells_back():
    frame = pd.DataFrame(
        {
            "x": np.linspace(0.0, 5.0, 50),
            "c": ["a", "b"] * 25,
            "t": pd.date_range("2026-01-05", periods=50, freq="3h"),
        }
    )
    encoder = TableEncoder.fit(frame, columns(x="numeric", c="categorical", t="timestamp"))
    table = encoder.transform(frame)
    decoded = encoder.decode(table.numbers, table.codes)
    assert decoded["c"].tolist() == frame["c"].tolist()
    np.testing.assert_allclose(decoded["x"], frame["x"])
    assert (decoded["t"].dt.day_of_week == frame["t"].dt.day_of_week).all()
    assert (decoded["t"].dt.hour == frame["t"].dt.hour).all()


def test_the_codebook_says_what_each_code_is_in_the_features():
    frame = pd.DataFrame({"c": ["a", "a", "b"], "n": [1.0, 2.0, 1.0]})
    encoder = TableEncoder.fit(frame, columns(c="categorical", n="numeric"))
    table = encoder.transform(frame)
    for place, (where, book) in enumerate(encoder.codebook()):
        np.testing.assert_allclose(book[table.codes[:, place]], table.numbers[:, where])


def test_only_heavy_tails_and_constants_are_ranked(rng):
    values = np.column_stack(
        [
            rng.normal(size=500),
            rng.standard_t(2, size=500),
            np.full(500, 3.0),
            rng.random(500) < 0.5,
        ]
    ).astype(np.float64)
    view = AdaptiveView.fit(values, np.zeros(4, dtype=bool))
    assert view.features.tolist() == [1, 2]


def test_any_other_value_of_a_constant_column_is_far_away():
    values = np.full((100, 1), 7.0)
    view = AdaptiveView.fit(values, np.zeros(1, dtype=bool))
    assert view.transform(np.array([[7.0]]))[0, 0] == 0.0
    assert view.transform(np.array([[7.001]]))[0, 0] > 2.5
    assert view.transform(np.array([[6.999]]))[0, 0] < -2.5


@given(
    values=hnp.arrays(np.float64, 40, elements=st.floats(-1e150, 1e150)),
    name=st.sampled_from(["std", "arg"]),
)
def test_views_keep_the_order_and_stay_finite(values, name):
    view = VIEWS[name].fit(values[:20, None], np.zeros(1, dtype=bool))
    viewed = view.transform(np.sort(values)[:, None])[:, 0]
    assert np.isfinite(viewed).all()
    assert (np.diff(viewed) >= 0).all()
    assert np.abs(viewed).max() < 1e3 * SOFT_LIMIT


def test_a_view_can_be_inverted_inside_the_training_range(rng):
    values = np.exp(rng.normal(size=(300, 2)) * [0.1, 2.0])
    for view in (
        StandardView.fit(values, np.zeros(2, bool)),
        AdaptiveView.fit(values, np.zeros(2, bool)),
    ):
        for j in range(2):
            inside = np.quantile(values[:, j], np.linspace(0.1, 0.9, 7))
            np.testing.assert_allclose(view.invert(j, view.column(j, inside)), inside, rtol=1e-9)


def test_views_survive_their_state(rng):
    values = np.exp(rng.normal(size=(50, 3)))
    for name in ("std", "arg"):
        view = VIEWS[name].fit(values, np.zeros(3, dtype=bool))
        again = VIEWS[name].from_state(view.state())
        np.testing.assert_array_equal(again.transform(values), view.transform(values))
