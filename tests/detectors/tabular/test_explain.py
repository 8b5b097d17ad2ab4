from __future__ import annotations

import numpy as np
import torch

from vae_anomaly.detectors.tabular.explain import (
    by_falls,
    distance_shares,
    excess_shares,
    integrated_gradients,
)


def test_distances_split_by_their_squares():
    shares = distance_shares(np.array([[3.0, 4.0, 0.0]]), np.zeros((1, 1, 3)))
    np.testing.assert_allclose(shares, [[9 / 25, 16 / 25, 0.0]])


def test_a_row_that_is_its_own_neighbour_is_split_equally():
    row = np.array([[3.0, 4.0]])
    np.testing.assert_allclose(distance_shares(row, row[:, None]), [[0.5, 0.5]])


def test_integrated_gradients_of_a_linear_function_are_its_terms(rng):
    w = torch.tensor([1.0, -2.0, 0.5])
    rows = torch.from_numpy(rng.normal(size=(6, 3)).astype(np.float32))
    parts = integrated_gradients(lambda x: x @ w, rows, torch.zeros_like(rows))
    np.testing.assert_allclose(parts, (rows * w).numpy(), rtol=1e-5)


def test_integrated_gradients_are_complete_for_any_function(rng):
    torch_rng = torch.Generator().manual_seed(3)
    w = torch.randn(4, 8, generator=torch_rng)

    def value(x):
        return torch.tanh(3 * x @ w).square().sum(1)

    rows = torch.from_numpy(rng.normal(size=(20, 4)).astype(np.float32))
    base = torch.from_numpy(rng.normal(size=(20, 4)).astype(np.float32))
    parts = integrated_gradients(value, rows, base)
    np.testing.assert_allclose(parts.sum(axis=1), (value(rows) - value(base)).numpy(), rtol=1e-5)


def test_a_feature_that_does_not_matter_gets_nothing(rng):
    rows = torch.from_numpy(rng.normal(size=(5, 3)).astype(np.float32))
    parts = integrated_gradients(lambda x: x[:, :2].prod(1), rows, torch.zeros_like(rows))
    assert np.abs(parts[:, 2]).max() == 0.0


def test_only_what_exceeds_the_typical_counts():
    shares = excess_shares(np.array([[5.0, 1.0], [0.0, 0.0]]), np.array([1.0, 2.0]))
    np.testing.assert_allclose(shares, [[1.0, 0.0], [0.5, 0.5]])


def test_as_much_as_goes_away_with_one_cell_is_that_cell_s():
    parts = np.array([[8.0, 10.0, 2.0], [8.0, 10.0, 2.0]])
    fallen = np.array([[15.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    given = by_falls(parts, np.array([20.0, 20.0]), fallen)
    np.testing.assert_allclose(given, [[15.0 + 2.0, 2.5, 0.5], [8.0, 10.0, 2.0]])


def test_two_cells_of_which_either_would_do_share_it():
    given = by_falls(np.array([[5.0, 5.0]]), np.array([10.0]), np.array([[8.0, 4.0]]))
    np.testing.assert_allclose(given, [[8.0 * 8 / 12 + 1.0, 8.0 * 4 / 12 + 1.0]])


def test_a_score_that_falls_below_nothing_is_given_whole():
    given = by_falls(np.array([[1.0, 2.0]]), np.array([3.0]), np.array([[4.0, 0.0]]))
    np.testing.assert_allclose(given, [[3.0, 0.0]])
