from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

from vae_anomaly.detectors.tabular.exemplars import (
    EXACT_BELOW,
    ChunkProduct,
    ExemplarMemory,
    _largest,
)
from vae_anomaly.errors import NotEnoughDataError

WIDTHS = [1, 7, 31, 33]


def clusters(rng, n: int, d: int) -> np.ndarray:
    centers = rng.normal(size=(8, d)) * 4.0
    return (centers[rng.integers(0, 8, n)] + rng.normal(size=(n, d))).astype(np.float32)


def test_a_small_memory_is_searched_exactly(rng):
    exemplars, queries = clusters(rng, EXACT_BELOW, 5), clusters(rng, 200, 5)
    found = ExemplarMemory.fit(exemplars).search(queries)
    distance, index = NearestNeighbors(n_neighbors=5).fit(exemplars).kneighbors(queries)
    np.testing.assert_allclose(found.distance, distance, rtol=1e-5)
    assert (found.index == index).mean() > 0.999  # equal distances may change places


def test_a_large_memory_always_finds_the_nearest_and_rarely_misses_another(rng):
    exemplars, queries = clusters(rng, 3000, 6), clusters(rng, 400, 6)
    found = ExemplarMemory.fit(exemplars).search(queries)
    distance, _ = NearestNeighbors(n_neighbors=5).fit(exemplars).kneighbors(queries)
    np.testing.assert_allclose(found.distance[:, 0], distance[:, 0], rtol=1e-4)
    assert np.isclose(found.distance[:, :3], distance[:, :3], rtol=1e-4).mean() > 0.95
    assert (found.distance >= distance - 1e-4).all()


def test_of_equal_exemplars_torch_decides_which_is_taken(rng):
    values = rng.integers(0, 30, size=(128, 64)).astype(np.float32) * np.where(
        rng.random((128, 1)) < 0.5, -1.0, 1.0
    ).astype(np.float32)
    expected = torch.from_numpy(values).topk(5, dim=1).indices.numpy()
    np.testing.assert_array_equal(_largest(values, 5, np.empty((128, 64))), expected)


def test_the_largest_values_come_in_order_whatever_their_sign_and_size(rng):
    values = (rng.normal(size=(128, 500)) * 10.0 ** rng.integers(-30, 30, (128, 500))).astype("f4")
    found = _largest(values, 5, np.empty((128, 500)))
    np.testing.assert_array_equal(found, np.argsort(-values, axis=1)[:, :5])


def test_an_exemplar_is_at_distance_zero_from_itself(rng):
    exemplars = clusters(rng, 2000, 7) + np.float32(1e4)  # far from the origin: cancellation
    found = ExemplarMemory.fit(exemplars).search(exemplars[:300])
    assert (found.distance[:, 0] == 0.0).all()
    assert (found.index[:, 0] == np.arange(300)).mean() > 0.99


def test_an_exemplar_is_no_neighbour_of_itself_when_it_is_measured(rng):
    memory = ExemplarMemory.fit(clusters(rng, 1500, 4))
    assert memory.own_gap.min() > memory.eps


def test_members_of_one_group_do_not_vouch_for_each_other(rng):
    rows = clusters(rng, 300, 4)
    twins = np.repeat(rows, 4, axis=0) + rng.normal(size=(1200, 4)).astype(np.float32) * 1e-3
    order = rng.permutation(1200)
    twins, groups = twins[order], np.repeat(np.arange(300), 4)[order]
    alone, grouped = ExemplarMemory.fit(twins), ExemplarMemory.fit(twins, groups=groups)
    assert np.median(grouped.own_gap) > 20 * np.median(alone.own_gap)


def test_a_row_gets_the_same_numbers_alone_and_in_any_batch(rng):
    exemplars, queries = clusters(rng, 2000, 9), clusters(rng, 300, 9)
    memory = ExemplarMemory.fit(exemplars)
    together = memory.search(queries).distance
    alone = np.concatenate([memory.search(queries[i : i + 1]).distance for i in range(300)])
    order = rng.permutation(300)
    np.testing.assert_array_equal(alone, together)
    np.testing.assert_array_equal(memory.search(queries[order]).distance, together[order])


def test_wide_vectors_are_projected_and_keep_what_remains(rng):
    exemplars = rng.normal(size=(9000, 40)).astype(np.float32)
    exemplars[:, 36:] *= 1e-2
    memory = ExemplarMemory.fit(exemplars)
    assert memory.projection.basis is not None
    strange = np.zeros((1, 40), dtype=np.float32)
    strange[0, -1] = 50.0  # in a direction that the projection drops
    assert memory.search(strange).distance[0, 0] > 45.0


def test_the_local_ratio_orders_rows_as_the_local_outlier_factor_does(rng):
    dense = rng.normal(size=(500, 2)) * 0.1
    sparse = rng.normal(size=(500, 2)) * 3.0 + 20.0
    exemplars = rng.permutation(np.concatenate([dense, sparse])).astype(np.float32)
    queries = np.array([[0.0, 0.0], [0.9, 0.9], [20.0, 20.0], [21.0, 21.0]], dtype=np.float32)
    memory = ExemplarMemory.fit(exemplars)
    _, local = memory.statistics(memory.search(queries))
    factor = -LocalOutlierFactor(n_neighbors=5, novelty=True).fit(exemplars).score_samples(queries)
    assert local.argmax() == factor.argmax() == 1


def test_three_exemplars_suffice_and_two_do_not():
    three = np.array([[0.0], [1.0], [3.0]], dtype=np.float32)
    memory = ExemplarMemory.fit(three)
    assert memory.search(three).distance[:, 0].tolist() == [0.0, 0.0, 0.0]
    with pytest.raises(NotEnoughDataError, match="got 2"):
        ExemplarMemory.fit(three[:2])


def test_a_memory_survives_its_state(rng):
    memory = ExemplarMemory.fit(clusters(rng, 800, 40))
    again = ExemplarMemory.from_state(memory.state())
    queries = clusters(rng, 50, 40)
    np.testing.assert_array_equal(again.search(queries).distance, memory.search(queries).distance)


@pytest.fixture(params=[True, False], ids=["oneDNN", "torch.mm"])
def make(request, monkeypatch):
    if not request.param:
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    return ChunkProduct


@pytest.mark.parametrize("width", WIDTHS)
def test_a_product_is_that_of_the_matrices(make, width):
    rows, table = torch.randn(128, width), torch.randn(width, 640)
    expected = rows.double() @ table.double()
    np.testing.assert_allclose(make(table, 128)(rows), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_row_of_a_product_does_not_depend_on_its_place_or_its_neighbours(make, width):
    product = make(torch.randn(width, 640), 128)
    rows = torch.randn(128, width)
    alone, moved = torch.zeros(128, width), torch.randn(128, width)
    alone[0], moved[77] = rows[3], rows[3]
    together = product(rows)[3]
    assert torch.equal(product(alone)[0], together)
    assert torch.equal(product(moved)[77], together)


def test_a_product_can_be_copied_and_pickled():
    rows = torch.randn(16, 5)
    product = ChunkProduct(torch.randn(5, 64), 16)
    for again in (copy.deepcopy(product), pickle.loads(pickle.dumps(product))):
        assert torch.equal(again(rows), product(rows))
