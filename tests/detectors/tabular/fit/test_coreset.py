from __future__ import annotations

import numpy as np
import pytest

from vae_anomaly.detectors.tabular.exemplars import ExemplarMemory
from vae_anomaly.detectors.tabular.fit.memories import choose_exemplars


def with_rare_kinds(rng, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of one common kind and 20 rare ones of 5 rows each, and the kinds."""
    kind = np.concatenate([np.zeros(n - 100, dtype=int), np.repeat(np.arange(1, 21), 5)])
    centers = np.vstack([np.zeros(3), rng.normal(size=(20, 3)) * 20.0])
    order = rng.permutation(n)
    rows = centers[kind] + rng.normal(size=(n, 3))
    return rows[order].astype(np.float32), kind[order]


def test_a_summary_keeps_rare_kinds_that_a_uniform_draw_misses(rng):
    rows, kind = with_rare_kinds(rng, 20_000)
    chosen = choose_exemplars(rows, 400, 100, np.random.default_rng(0))
    assert len(set(kind[:400])) < 12  # a uniform draw of a random order
    assert len(set(kind[chosen])) == 21


def test_the_first_exemplars_are_a_uniform_draw_and_none_comes_twice(rng):
    rows, _ = with_rare_kinds(rng, 3_000)
    chosen = choose_exemplars(rows, 1_200, 300, np.random.default_rng(0))
    assert chosen[:300].tolist() == list(range(300))
    assert len(set(chosen)) == 1_200
    again = choose_exemplars(rows, 1_200, 300, np.random.default_rng(0))
    np.testing.assert_array_equal(again, chosen)


def test_a_table_of_few_different_rows_can_be_summarised(rng):
    rows = rng.normal(size=(10, 3)).astype(np.float32)[rng.integers(0, 10, 2_000)]
    chosen = choose_exemplars(rows, 600, 5, np.random.default_rng(0))
    assert len(set(chosen)) == 600
    assert len(np.unique(rows[chosen], axis=0)) == 10
    memory = ExemplarMemory.fit(rows[chosen])
    memory.weigh(rows, 5)
    gap, local = memory.statistics(memory.search(rows))
    assert np.isfinite(local).all()
    np.testing.assert_allclose(gap, memory.eps)  # every row lies on an exemplar


@pytest.mark.parametrize(
    ("weights", "gap"),
    [((1, 1, 1), (0.2 + 0.8 + 1.8) / 3), ((2, 1, 1), (0.4 + 0.8) / 3), ((9, 1, 1), 0.2)],
    ids=["one row each", "two rows at the nearest", "more rows than are asked for"],
)
def test_the_gap_is_the_mean_distance_of_the_nearest_three_rows(weights, gap):
    memory = ExemplarMemory.fit(np.array([[0.0], [1.0], [2.0]], dtype=np.float32))
    memory.weights = np.array(weights, dtype=np.float64)
    found, _ = memory.statistics(memory.search(np.array([[0.2]], dtype=np.float32)))
    assert found[0] == pytest.approx(gap + memory.eps, rel=1e-5)


def test_weights_of_one_give_the_numbers_of_none(rng):
    rows, queries = rng.normal(size=(2, 900, 4)).astype(np.float32)
    plain, weighed = ExemplarMemory.fit(rows), ExemplarMemory.fit(rows)
    weighed.weigh(rows, 900)
    assert (weighed.weights == 1.0).all()
    for one, other in zip(
        plain.statistics(plain.search(queries)),
        weighed.statistics(weighed.search(queries)),
        strict=True,
    ):
        np.testing.assert_allclose(other, one, rtol=1e-14)


def test_weights_count_every_row_once_and_survive_the_state(rng):
    rows = rng.normal(size=(5_000, 4)).astype(np.float32)
    memory = ExemplarMemory.fit(rows[choose_exemplars(rows, 600, 100, rng)])
    memory.weigh(rows, 100)
    assert memory.weights.sum() == 5_000
    again = ExemplarMemory.from_state(memory.state())
    np.testing.assert_array_equal(again.even, rows[:100])
    for one, other in zip(
        again.statistics(again.search(rows)), memory.statistics(memory.search(rows)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_a_memory_saved_without_weights_stands_for_its_own_rows(rng):
    memory = ExemplarMemory.fit(rng.normal(size=(300, 4)).astype(np.float32))
    state = memory.state()
    assert not {"weights", "n_even"} & set(state)
    assert ExemplarMemory.from_state(state).weights is None
